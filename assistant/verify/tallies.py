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

from assistant.verify.comparison import meets
from assistant.verify.facts import Pool
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.portions import of_fraction
from assistant.verify.reading import COUNT_NOUNS, Number
from assistant.verify.scene import Scene, spelled
from assistant.verify.trials import Trials

_STATES = ("confirmed", "new", "false alarm", "skipped")
_OUTNUMBER = re.compile(r"\b(?P<word>outnumber(?:s|ed)?|(?:are |is )?as (?:frequent|common|numerous) as)\b", re.I)
_LOST = r"(?:would |will |could )?(?:drop|fall)s? (?:out|away)|disappears?|vanish(?:es)?|no longer (?:be )?flagged"
_LEFT = r"(?:would |will |could )?(?:remains?|survives?|be left|stays? flagged)|are left|is left"
_BETWEEN = re.compile(
    r"\s+(?:(?:of|out of|more|further|other|additional|the|these|those|all|them|for|in|is|are|was|were|has|have"
    r"|had|be|been|being|still|now|so far"
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
_GROUP = re.compile(
    r"\b(?P<which>largest|biggest|smallest) (?:group|of (?:which|these|them))\b[^.;,]{0,25}?"
    r"\b(?:has|holds|contains|comprises|counts|with|of)\s(?:just |only |about )?$",
    re.I,
)
_EVERY = re.compile(r"\b(?P<word>both|all|each)\b(?: (?:of )?(?:the )?\w+)?(?: \w+)? ?(?:findings?|events?"
    r"|alarms?|of them)\b",
                    re.I)  # fmt: skip
_TAKES = re.compile(r"\b(?:drops?|removes?|costs?|loses?|lose|eliminates?|excludes?|sheds?|discards?"
    r"|sacrifices?|clears?"
                    r"|takes? (?:away|out)|gets? rid of|rules? out|lost|removed|dropped|dropping"
                    r"|removing)\s(?:about |only"
                    r" |just |all |another )?$", re.I)  # fmt: skip
_KEEPS = re.compile(r"\b(?:leaves?|keeps?|retains?|spares?|leaving|keeping|there (?:would|will) (?:still )?be|only"
                    r" (?:be )?left with)\s(?:about |only |just |us with )?$", re.I)  # fmt: skip
_ADDS = re.compile(
    r"\b(?:adds?|brings? in|gains?|yields? another|flags? another)\s(?:about |only |just |another )?$", re.I
)


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
        self.trials = Trials(scene, pool)

    def problem(self, number: Number) -> str | None:
        """What is wrong with a count by category, "" if it is right, None where the number is no such count."""
        if number.kind == "times":
            return self._as_many(number)
        for told in (self.trials.problem(number), of_fraction(self, number)):
            if told is not None:
                return told
        if number.unit or number.kind == "ordinal":
            return None
        if (told := self._of_group(number)) is not None:
            return told
        category = self._changed(number)
        spot = None if category or not self.spots else self._meant(number)
        category = spot.category if spot else category
        if category is None:
            return None
        truth, told = category.count, category.told
        if spot and number.kind == "word" and (joined := self._joined(spot)) and meets(number, joined):
            return ""
        if number.kind == "fraction":
            if not self.total:
                return None
            truth, told = truth / self.total, f"{told} of {self.total:g}"
        elif number.value != int(number.value):
            return None
        if meets(number, truth):
            return ""
        return f"'{number.text}' is not how many are {category.name}: {told}"

    def _of_group(self, number: Number) -> str | None:
        """ "the largest group has fourteen", "the largest of which holds six": the size of that group."""
        match = _GROUP.search(self.scene.text[: number.start])
        groups = [k for k in self.pool.numbers if k.fact.field == "findings" and k.part.startswith("group ")]
        if match is None or len(groups) < 2 or number.kind not in ("word", "plain"):
            return None
        pick = min if match["which"].lower() == "smallest" else max
        chosen = pick(groups, key=lambda k: k.number or 0.0)
        return "" if meets(number, chosen.number or 0.0) else f"'{number.text}' is not its size: {chosen}"

    def _joined(self, spot: Spot) -> float:
        """ "the other two are a spike and a stuck channel": both together."""
        following = [s for s in self.spots if s.start > spot.end]
        between = self.scene.text[spot.end : following[0].start] if following else ""
        if not re.fullmatch(r"\W*and (?:an?|one|the)? ?", between):
            return 0.0
        return spot.category.count + following[0].category.count

    def all_problems(self) -> Iterator[str]:
        """ "Both labelled alarms were confirmed", "all three lie at the lower left": of a category that is counted."""
        match = _EVERY.search(self.scene.text)
        behind = [s for s in self.spots if match and s.start >= match.end()][:1]
        if match is None or not behind or re.search(r"\bnot\b|n't\b", self.scene.text[: behind[0].start]):
            return
        between = self.scene.text[match.end() : behind[0].start]
        if not re.fullmatch(r"[^,;:]{0,40}?\b(?:are|were|is|lie|have been|was|show)\b[^,;:]{0,20}", between):
            return
        category, whole = behind[0].category, 2.0 if match["word"].lower() == "both" else self.total
        if whole and category.count != whole:
            yield f"'{match[0]}' is not right: {category.told}, of {whole:g}"

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
        for name, pattern in (("no longer flagged", _TAKES), ("left", _KEEPS), ("added", _ADDS)):
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
        if meets(number, one.count / two.count):
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
    fields |= {known.fact.field: known for known in pool.numbers if "all alarms" in known.bases}
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
        yield Category("unlabelled", r"unlabelled|without (?:a |any )?labels?|(?:not|yet to be) labelled"
                       r"|(?:still )?lacks? (?:a |any )?labels?|ha(?:s|ve) no labels?",
                       rest.number or 0.0, str(rest))  # fmt: skip
    if "unshown" in fields:
        yield Category(
            "not shown", r"not (?:shown|listed|among those)", fields["unshown"].number or 0.0, str(fields["unshown"])
        )
    if {"before_findings", "after_findings"} <= fields.keys():
        more = (fields["after_findings"].number or 0.0) - (fields["before_findings"].number or 0.0)
        told_both = f"{fields['before_findings']}, {fields['after_findings']}"
        yield Category("added", r"newly flagged", max(more, 0.0), told_both)
    if "no_longer_flagged" in fields:
        lost = fields["no_longer_flagged"]
        yield Category("no longer flagged", _LOST, lost.number or 0.0, str(lost))
    if "no_longer_flagged" in fields and "after_findings" in fields:
        left = fields["after_findings"]
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
