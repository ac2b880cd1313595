"""Checks counts that a sentence gives by category: how many findings are holes, are confirmed, lie at the centre.

Knows scenes and the counts of facts; not whose other numbers are. A category's count comes from a run's facts
(`R1/kind hole.findings`, `confirmed_findings`) or is counted over the findings that a result lists.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from assistant.verify.clauses import clause_at
from assistant.verify.facts import Pool
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.reading import COUNT_NOUNS, Number
from assistant.verify.scene import Scene, spelled

_STATES = ("confirmed", "new", "false alarm", "skipped")
_OUTNUMBER = re.compile(r"\b(?P<word>outnumber(?:s|ed)?|(?:are |is )?as (?:frequent|common|numerous) as)\b", re.I)
_LOST = r"(?:would |will |could )?(?:drop|fall)s? (?:out|away)|disappears?|vanish(?:es)?|no longer (?:be )?flagged"
_LEFT = r"(?:would |will |could )?(?:remains?|survives?|be left|stays? flagged)|are left|is left"
_BETWEEN = re.compile(
    r"\s+(?:(?:of|out of|the|these|those|all|them|for|in|is|are|was|were|has|have|had|be|been|being|still|now|so far"
    r"|already|remain|remains|stay|stays|kind|kinds|put down|marked|labelled|classified|dismissed|counted|as|an?|with"
    rf"|shown|flagged|listed|here|would|\d[\d,]*|{NUMBER_WORDS}|{'|'.join(sorted(COUNT_NOUNS, key=len, reverse=True))}"
    r")\s+)*(?:(?!(?:not|no|than|and|or|but|if)\b)[a-z]+\s+)?(?:the |is |are |an? |kind |remains? |of |as )*"
    r"\(?(?:kind )?[\"“`]?",
    re.I,
)
_AHEAD = re.compile(
    r"[\"”`]?(?:\s(?:is|are|was|were) (?:hit|seen|found|named)(?: most)? often|\s(?:findings?|events?|kind))?"
    r"(?:\s?[:(=]|\swith)\s?(?:only |just )?"
    r"|[\"”`]?\s(?:(?:plays? a (?:part|role)|matters|counts|occurs?) in)\s(?:only )?",
    re.I,
)
_ASIDE = re.compile(r"\s?\([^)]*\)(?=\s(?:of|are|is|have|has|remain))|,\s(?:namely|that is|i\.e\.)[^,]*,(?=\s)")
_AS_MANY = re.compile(r"\s(?:as many|the number of)\b", re.I)
_MORE_THAN = re.compile(
    r"\b(?P<word>more|fewer) (?P<what>[\w ]{3,25}?) than (?P<other>[\w ]{3,25}?)\b(?=\W*$|[,;.(\[])", re.I
)
_COUNT = rf"(?:\d[\d,]*|{NUMBER_WORDS})"
_PAIR_BEFORE = re.compile(
    rf"\b(?P<part>{_COUNT}) (?:\w+ )?(?:out )?of (?:the |all |these "
    rf"|those )*(?P<whole>{_COUNT})\b[^;.%]{{0,60}}?[,(–—:]\s?"
    r"(?:that is|that makes|i\.e\.|or|which is|meaning)?,?\s?(?:in )?(?:(?:about|roughly|almost|nearly|just"
    r"|over|under|more|less"
    r"|than|some|a good|only)\s)*$",
    re.I,
)
_PAIR_AFTER = re.compile(
    rf"[^;.%]{{0,60}}?[,(–—:]\s?(?:namely |that is,? |i\.e\. )?(?P<part>{_COUNT}) (?:\w+ )?(?:out )?of (?:the "
    rf"|all |these )*"
    rf"(?P<whole>{_COUNT})\b",
    re.I,
)
_TAKES = re.compile(r"\b(?:drops?|removes?|costs?|loses?|lose|eliminates?|excludes?|sheds?|discards?"
    r"|sacrifices?|clears?"
                    r"|takes? (?:away|out)|gets? rid of|rules? out|lost|removed|dropped|dropping"
                    r"|removing)\s(?:about |only"
                    r" |just |all |another )?$", re.I)  # fmt: skip
_KEEPS = re.compile(r"\b(?:leaves?|keeps?|retains?|spares?|leaving|keeping|there (?:would|will) (?:still )?be|only"
                    r" (?:be )?left with)\s(?:about |only |just |us with )?$", re.I)  # fmt: skip
_MANY = rf"(?:{_COUNT}|both|all|none|neither|half|a (?:third|quarter|fifth))"
_MEMBER = r"(?:members?|methods?|models?|detectors?|repeats?|seeds?|runs?)"
_TRIALS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(rf"\b{_MANY}(?: (?:out )?of (?:the |its |these )?(?:{_COUNT})?)? ?(?:of )?(?:the )?{_MEMBER} (?:\w+ )?"
                r"(?:flag\w*|agree\w*|call|reject|find)|(?<=by )\w+ (?:out )?of (?:the |its )?(?:\w+ )?" + _MEMBER
                + r"|\b\w+ of (?:them|these) (?:flag\w* )?(?=F\d)", re.I), "runs_flagging", "runs_asked"),
    (re.compile(rf"\b{_MANY} (?:out )?of (?:the |its |these )?(?:\w+ )?(?:(?:random|other) \w+"
        rf"|places (?:of equal size )?"
                r"elsewhere)(?! (?:left|stayed|did|were not|fail))", re.I), "random_returns", "random_places"),
    (re.compile(rf"\b(?:random|elsewhere)\b[^.;]{{0,30}}?,\s(?P<at>{_MANY} of (?:the )?{_COUNT})\b", re.I),
     "random_returns", "random_places"),
)  # fmt: skip


@dataclass(frozen=True)
class Category:
    """One sort of finding and how many there are."""

    name: str
    pattern: str  # of its mentions
    count: float
    told: str  # for people: "R1/kind hole.findings there is 11"


@dataclass(frozen=True)
class Spot:
    """A category where a sentence names it."""

    start: int
    end: int
    category: Category


class Tallies:
    """The counts by category of one sentence."""

    def __init__(self, scene: Scene, pool: Pool) -> None:
        self.scene = scene
        self.pool = pool

    def problem(self, number: Number) -> str | None:
        """What is wrong with a count by category, "" if it is right, None where the number is no such count."""
        if number.kind == "times":
            return self._as_many(number)
        for told in (self._repeated(number), self._of_fraction(number)):
            if told is not None:
                return told
        if number.unit or number.kind == "ordinal":
            return None
        category = self._changed(number)
        spot = None if category or not self.spots else self._meant(number)
        category = spot.category if spot else category
        if category is None:
            return None
        truth, told = category.count, category.told
        if spot and number.kind == "word" and (joined := self._joined(spot)) and _meets(number, joined):
            return ""
        if number.kind == "fraction":
            if not self.total:
                return None
            truth, told = truth / self.total, f"{told} of {self.total:g}"
        elif number.value != int(number.value):
            return None
        if _meets(number, truth):
            return ""
        return f"'{number.text}' is not how many are {category.name}: {told}"

    def _joined(self, spot: Spot) -> float:
        """ "the other two are a spike and a stuck channel": both together."""
        following = [s for s in self.spots if s.start > spot.end]
        between = self.scene.text[spot.end : following[0].start] if following else ""
        if not re.fullmatch(r"\W*and (?:an?|one|the)? ?", between):
            return 0.0
        return spot.category.count + following[0].category.count

    def _repeated(self, number: Number) -> str | None:
        """ "two of the three members flag it", "none of the eight random places": of trials that were made."""
        text = self.scene.text
        for pattern, hits, asked in _TRIALS:
            match = next((m for m in pattern.finditer(text) if _at(m) == number.start), None)
            owners = self._owners(number)
            facts = {name: [k for k in self.pool.numbers if k.fact.field == name and (not owners or k.bases & owners)]
                     for name in (hits, asked)}  # fmt: skip
            if match is None or len({k.number for k in facts[hits]}) != 1 or not facts[asked]:
                continue
            hit, whole = facts[hits][0], facts[asked][0]
            truth = hit.number or 0.0
            if number.kind == "fraction" and whole.number:
                truth /= whole.number
            return "" if _meets(number, truth) else f"'{number.text}' is not right: {hit}, of {whole.number:g}"
        return None

    def trial_problems(self) -> Iterator[str]:
        """ "Both members flag it", "all of the random places": trials that are counted in words."""
        text = self.scene.text
        for pattern, hits, asked in _TRIALS:
            for match in pattern.finditer(text):
                word = match[0].split()[0].lower()
                if word not in ("both", "all", "none", "neither"):
                    continue
                stand_in = Number(match.start(), match.start() + len(word), word, 0.0, 1.0, kind="word")
                owners = self._owners(stand_in)
                mine = [k for k in self.pool.numbers if not owners or k.bases & owners]
                facts = [next((k for k in mine if k.fact.field == name), None) for name in (hits, asked)]
                if facts[0] is None or facts[1] is None:
                    continue
                wanted = 0.0 if word in ("none", "neither") else facts[1].number
                if facts[0].number != wanted:
                    yield f"'{word}' is not right: {facts[0]}, of {facts[1].number:g}"

    def _owners(self, number: Number) -> frozenset[str]:
        """The finding that a trial is said of: named after the number in its clause, else before it."""
        end = clause_at(self.scene.text, number.end)[1]
        bases = [m for m in self.scene.bases if any(n[0] == "F" for n in m.names)]
        behind = [m for m in bases if number.end <= m.start < end]
        chosen = behind[:1] or [m for m in bases if m.end <= number.start][-1:]
        return chosen[0].names if chosen else self.scene.context

    def _of_fraction(self, number: Number) -> str | None:
        """ "six findings, more than a third of all sixteen", "13 of the 24 parts, almost two thirds"."""
        if number.kind != "fraction" and number.unit != "%":
            return None
        text, numbers = self.scene.text, self.scene.numbers
        whole = next((n for n in numbers if n.start >= number.end), None)
        part = next((n for n in reversed(numbers) if n.end <= number.start), None)
        if (
            whole
            and part
            and re.fullmatch(r"\s(?:out )?of (?:all |the |these |those )*", text[number.end : whole.start])
        ):
            return self._portion(number, part, whole)
        if (told := self._of_findings(number)) is not None:
            return told
        pair = _PAIR_BEFORE.search(text[: number.start]) or _PAIR_AFTER.match(text, number.end)
        if pair is None:
            return None
        chosen = [n for n in numbers if n.start in (pair.start("part"), pair.start("whole"))]
        return self._portion(number, *chosen) if len(chosen) == 2 else None

    def _of_findings(self, number: Number) -> str | None:
        """ "is involved in more than half of the findings": a category's count of all of them."""
        of = re.compile(r"\sof (?:the |all |these )?(?:\w+ )?(?:findings|events|alarms)\b", re.I).match(
            self.scene.text, number.end)  # fmt: skip
        before = [
            s for s in self.spots if s.end <= number.start and s.start >= clause_at(self.scene.text, number.start)[0]
        ]
        behind = [s for s in self.spots if of and re.fullmatch(r"\s(?:are|is|were|involve|have|concern"
            r"|show)\s(?:the |an? |been )?",
                                                               self.scene.text[of.end() : s.start])]  # fmt: skip
        chosen = behind[:1] or before[-1:]
        if of is None or not chosen or not self.total:
            return None
        truth = chosen[0].category.count / self.total * (100 if number.unit == "%" else 1)
        return (
            ""
            if _meets(number, truth)
            else f"'{number.text}' is not right: {chosen[0].category.told} of {self.total:g}"
        )

    def _portion(self, number: Number, part: Number, whole: Number) -> str | None:
        counts = all(n.kind in ("word", "plain") and not n.unit and n.value == int(n.value) for n in (part, whole))
        if not counts or not 0 <= part.value <= whole.value or not whole.value:
            return None
        truth = part.value / whole.value * (100 if number.unit == "%" else 1)
        return "" if _meets(number, truth) else f"'{number.text}' is not {part.text} of {whole.text}"

    @cached_property
    def categories(self) -> list[Category]:
        """Every category that the cited facts count, the longest name first."""
        runs = {b for k in self.pool.numbers if k.level == "run" and "findings" in k.words for b in k.bases}
        alarms = any(k.fact.field == "unlabelled_alarms" for k in self.pool.numbers)
        found = list(_of_runs(self.pool)) if len(runs) == 1 or alarms else []
        if not found:
            found = list(_of_lists(self.pool))
        return sorted(found, key=lambda category: -len(category.name))

    @cached_property
    def total(self) -> float:
        """All findings that the categories divide."""
        whole = [k.number or 0.0 for k in self.pool.numbers if k.fact.field == "findings" and not k.part]
        return whole[0] if len(set(whole)) == 1 else 0.0

    @cached_property
    def spots(self) -> list[Spot]:
        """Where the sentence names categories."""
        found: list[Spot] = []
        for category in self.categories:
            for match in re.finditer(rf"(?<![\w-])(?:{category.pattern})(?![\w-])", self.scene.text, re.I):
                if not any(match.start() < s.end and s.start < match.end() for s in found):
                    found.append(Spot(match.start(), match.end(), category))
        return sorted(found, key=lambda spot: spot.start)

    def _meant(self, number: Number) -> Spot | None:
        """The category that a number counts: the one right behind it, or before it with "(", ":" or "with"."""
        text = self.scene.text
        if re.search(r"\w\s(?:out )?of (?:the |all |these )?$", text[: number.start], re.I):
            return None  # "three of the seven": all of them
        for spot in self.spots:
            if spot.start >= number.end:
                between = text[number.end : spot.start]
                aside = _ASIDE.sub("", between)
                return spot if _BETWEEN.fullmatch(aside) else self._before(number)
        return self._before(number)

    def _changed(self, number: Number) -> Category | None:
        """ "costs two of the seven", "leaves five": what a stricter alpha takes away, or leaves."""
        ahead = self.scene.text[: number.start]
        for name, pattern in (("no longer flagged", _TAKES), ("left", _KEEPS)):
            if pattern.search(ahead):
                return next((c for c in self.categories if c.name == name), None)
        return None

    def _before(self, number: Number) -> Spot | None:
        before = [spot for spot in self.spots if spot.end <= number.start]
        if before and _AHEAD.fullmatch(self.scene.text[before[-1].end : number.start]):
            return before[-1]
        return None

    def _as_many(self, number: Number) -> str | None:
        """ "twice as many holes as stains", "matters in twice as many findings as motion"."""
        if not _AS_MANY.match(self.scene.text[number.end :]):
            return None
        behind = [spot for spot in self.spots if spot.start >= number.end]
        pair = behind[:2]
        if len(behind) == 1:
            pair = [*[spot for spot in self.spots if spot.end <= number.start][-1:], *behind]
        if len(pair) != 2 or not pair[1].category.count:
            return None
        one, two = pair[0].category, pair[1].category
        if _meets(number, one.count / two.count):
            return ""
        return f"'{number.text}' is not {one.count:g} to {two.count:g}: {one.told}, {two.told}"

    def order_problem(self) -> str:
        """ "more stains than holes" against their counts."""
        match = _MORE_THAN.search(self.scene.text)
        if beyond := _OUTNUMBER.search(self.scene.text):
            ahead = [s.category for s in self.spots if s.end <= beyond.start()][-1:]
            behind = [s.category for s in self.spots if s.start >= beyond.end()][:1]
            if ahead and behind and not re.search(r"\b(?:times|twice|half|not|n't)\b", self.scene.text, re.I):
                more, less = ahead[0].count, behind[0].count
                if (more > less) if beyond["word"].lower().startswith("out") else more == less:
                    return ""
                return f"'{beyond[0]}' is wrong: {ahead[0].told}, {behind[0].told}"
        if match is None:
            return ""
        sides = [
            [s.category for s in self.spots if match.start(n) <= s.start < match.end(n)] for n in ("what", "other")
        ]
        if len(sides[0]) != 1 or len(sides[1]) != 1:
            return ""
        one, two = sides[0][0], sides[1][0]
        if (one.count > two.count) == (match["word"].lower() == "more") and one.count != two.count:
            return ""
        return f"'{match[0]}' is wrong: {one.told}, {two.told}"


def _at(match: re.Match[str]) -> int:
    return match.start("at") if "at" in match.groupdict() else match.start()


def _meets(number: Number, truth: float) -> bool:
    if number.bound:
        return truth < number.value if number.bound == "<" else truth > number.value
    return number.agrees(truth)


def _of_runs(pool: Pool) -> Iterator[Category]:
    """The categories that a run's facts count."""
    for known in pool.numbers:
        if known.number is None or known.level != "run":
            continue
        if known.fact.field == "findings" and known.part and known.kind in ("kind", "position", "part"):
            yield Category(known.part, _spelled(known.part), known.number, str(known))
        if known.fact.field == "findings" and known.part and known.kind in ("channel", "feature"):
            yield Category(known.part, spelled(known.part), known.number, str(known))
        state = known.fact.field.removesuffix("_findings").replace("_", " ")
        if state in _STATES and known.fact.field.endswith("_findings"):
            yield Category(state, _spelled(state), known.number, str(known))
    fields = {known.fact.field: known for known in pool.numbers if not known.part}
    told = {name: fields[f"{name.replace(' ', '_')}_findings"] for name in _STATES
            if f"{name.replace(' ', '_')}_findings" in fields}  # fmt: skip
    whole = fields.get("findings")
    if told and whole and sum(k.number or 0.0 for k in told.values()) == whole.number:
        for name in set(_STATES[:3]) - set(told):
            yield Category(name, _spelled(name), 0.0, f"there {whole}, none of them {name}")
    if "labelled" in fields and "unlabelled_alarms" in fields:
        for name, pattern in (("confirmed", "confirmed"), ("false_alarms", "false alarms?")):
            if name in fields:
                yield Category(name, pattern, fields[name].number or 0.0, str(fields[name]))
        rest = fields["unlabelled_alarms"]
        yield Category("unlabelled", r"unlabelled|without (?:a |any )?labels?|(?:not|yet to be) labelled",
                       rest.number or 0.0, str(rest))  # fmt: skip
    if "no_longer_flagged" in fields and "after_findings" in fields:
        lost, left = fields["no_longer_flagged"], fields["after_findings"]
        yield Category("no longer flagged", _LOST, lost.number or 0.0, str(lost))
        yield Category("left", _LEFT, left.number or 0.0, str(left))


def _of_lists(pool: Pool) -> Iterator[Category]:
    """The categories of the findings that a result lists, counted."""
    if sum(known.fact.field == "shown" for known in pool.numbers) != 1:
        return
    for field in ("state", "kind"):
        values = Counter(str(k.fact.value) for k in pool.texts if k.fact.field == field and k.fact.subject[:1] == "F")
        for value, count in values.items():
            yield Category(value, _spelled(value), count, f"{count} of those shown have {field} {value}")


def _spelled(name: str) -> str:
    return re.escape(name).replace(r"\ ", r"[\s_-]") + "(?:e?s)?"
