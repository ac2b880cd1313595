"""Binds the numbers of one sentence to facts: value, unit, field, role, and whose number it is.

Knows scenes and facts; not how sentences are split or what becomes of a problem. `number_problem` says in words what
does not match, or "" where the number is a fact, or follows from facts (a difference, ratio, sum, count or share).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from assistant.evidence import format_number
from assistant.verify.facts import ROLES, SECONDS, Known, Pool
from assistant.verify.reading import Number, place_words
from assistant.verify.scene import (
    Mention,
    Scene,
    count_noun,
    field_of,
    group_of,
    listed,
    nearest_after,
    nearest_before,
    role_of,
)

CUES = {  # words without which a fact with this role is not what the sentence speaks of
    ("time", "after"): r"after\w*|repair\w*|counterfactual|would|if|without|then|now|becom\w+|returns?\w*|drops?\w*|falls?|"
    r"fell|rises?|rose|brings?|brought|lowers?|raises?|lifts?|normal version|new|alone|to|leav\w+|scores? again|drop\w*|"
    r"corrected|restor\w+|fix\w*|replac\w+|remov\w+|reduc\w+|under|with|nearest normal|at alpha",
    ("seen", "expected"): r"expect\w*|normal\w*|should|instead|rather|against|usual\w*|predict\w*|would|than|versus|vs|"
    r"counterfactual|model\w*|deviat\w*|compar\w+|typical\w*",
    ("rank", "low"): r"lowest|smallest|minim\w+|min|least|most|strongest|down|as low|from|worst|strangest|top|gravest|best",
    ("rank", "high"): r"highest|largest|maxim\w+|max|most|up to|top|greatest|biggest|as high|strongest|to|exceed\w*|worst",
    ("rank", "middle"): r"mean|median|average|typical\w*|usual\w*|normal\w*",
}
_FLAGS = r"lowest|smallest|minimum|min|highest|largest|maximum|max|greatest|biggest"
_MORE = r"higher|more|above|over|longer|later|larger|greater|too high|too much|taller|wider|up|stronger|exceed\w*"
_LESS = r"lower|less|fewer|below|under|shorter|earlier|smaller|too low|too little|down|weaker"
_DIFFERENCE = re.compile(rf"^\W*(?:[a-z]+\s){{0,2}}?(?:{_MORE}|{_LESS}|apart|off|difference|of difference|away)\b", re.I)
_BY = re.compile(r"\b(?:by|difference(?: of| is)?|gap of|rise of|drop of|fall of|increase of|decrease of|change of|off by|"
                 r"differs? by|deviation of|deviates by|distance of)\W*$", re.I)  # fmt: skip
_SUM = r"together|combined|in total|altogether|in all|sum|jointly|add up|in sum"


@dataclass(frozen=True)
class Scope:
    """What a number is allowed to be about, by the words around it; None = the sentence does not say."""

    bases: frozenset[str] | None  # findings and samples
    runs: frozenset[str] | None
    parts: frozenset[str] | None
    field: Mention | None

    def fits_field(self, known: Known) -> bool:
        """Whether the fact is of the field that the sentence names."""
        return self.field is None or any(option <= known.words for option in self.field.options)


class Binder:
    """Numbers of one sentence against the facts it cites."""

    def __init__(self, scene: Scene, pool: Pool) -> None:
        self.scene = scene
        self.pool = pool

    def number_problem(self, number: Number) -> str:
        """What is wrong with a number, "" if nothing."""
        if number.kind == "ordinal":
            return self._ordinal(number)
        nouns = count_noun(self.scene, number)
        scope = self.scope(number)
        if nouns and self._counted(number, nouns, scope):
            return ""
        if number.kind in ("times", "fraction") and self._ratio(number, scope):
            return ""
        if not nouns and self._derived(number, scope):
            return ""
        near, reason = [], ""
        for known in self.pool.numbers:
            if not matches(number, known):
                continue
            reason = self._misfit(number, known, scope, nouns)
            if not reason:
                return ""
            near.append(reason)
        if self._extreme(number, scope) or self._bounded(number, scope) or self._noted(number) or self._odds(number):
            return ""
        if near:
            return f"'{number.text}' {near[0]}{self._hint(scope, number)}"
        return self._unit_slip(number) or f"'{number.text}' is not in the cited evidence{self._hint(scope, number)}"

    def facts_of(self, number: Number) -> list[Known]:
        """The facts that a number states."""
        scope = self.scope(number)
        return [k for k in self.pool.numbers if matches(number, k) and not self._misfit(number, k, scope, [])]

    # --- whose number ------------------------------------------------------------------------------------------

    def scope(self, number: Number) -> Scope:
        """Whom and what a number is about."""
        scene = self.scene
        findings = [m for m in scene.bases if any(_is_finding(name) for name in m.names)]
        runs = [m for m in scene.bases if m not in findings]
        bases = self._owner(findings, number)
        if bases is None and scene.context and not findings:
            bases = scene.context
        return Scope(bases, self._owner(runs, number), self._part_owner(number), field_of(scene, number))

    def _owner(self, mentions: list[Mention], number: Number) -> frozenset[str] | None:
        if not mentions:
            return None
        after, strict = self._attached(mentions, number)
        before = nearest_before(mentions, number.start)
        if after and strict:
            return after.names
        if before is None:
            first = nearest_after(mentions, number.end)
            return self._aligned(mentions, first, number) if first else None
        owners = self._aligned(mentions, before, number) | self._in_turn(mentions, number)
        return owners | after.names if after else owners

    def _part_owner(self, number: Number) -> frozenset[str] | None:
        parts = self.scene.parts
        if not parts:
            return None
        after, _ = self._attached(parts, number)
        before = nearest_before(parts, number.start)
        if after and before and not _same_sort(after, before):
            return after.names | before.names
        if after:
            return after.names
        if before is None:
            return None
        return self._aligned(parts, before, number) | self._in_turn(parts, number)

    def _attached(self, mentions: list[Mention], number: Number) -> tuple[Mention | None, bool]:
        """The mention that a number is said to be for: "0.02 for F13", "8.2 (F12)", "61 % of the score lies in cpu"."""
        mention = nearest_after(mentions, number.end)
        if mention is None:
            return None, False
        between = self.scene.text[number.end : mention.start]
        if any(number.end <= other.start < mention.start for other in self.scene.numbers):
            return None, False
        if re.fullmatch(r"\s*\(\s*(?:for |in )?(?:the |channel |feature )?", between):
            return mention, True
        words = re.fullmatch(
            r"\s*(?:[\w%'°/-]+\s+){0,6}?(for|of|in|on|at|from|by|is|lies in)\s+(?:the\s|channel\s|feature\s|finding\s|"
            r"sample\s|run\s|column\s|sensor\s)*",
            between,
        )
        if words is None or re.search(r"\b(?:and|but|while|whereas|with|than|against)\b", between):
            return None, False
        return mention, words[1] == "for"

    def _aligned(self, mentions: list[Mention], member: Mention, number: Number) -> frozenset[str]:
        """ "F12 and F13 have p-values 0.0004 and 0.02": the first number is F12's, the second F13's."""
        group = group_of(self.scene, mentions, member)
        run = self._list_of(number)
        if len(group) > 1 and len(run) == len(group) and not self.scene.has("between|range|ranges|from"):
            return group[run.index(number)].names
        return frozenset(name for mention in group for name in mention.names)

    def _in_turn(self, mentions: list[Mention], number: Number) -> frozenset[str]:
        """ "F12 has a lower p-value than F13 (0.0004 against 0.02)": as many numbers as names before them."""
        run = self._list_of(number)
        ahead = [mention for mention in mentions if mention.end <= run[0].start]
        if len(run) < 2 or len({mention.names for mention in ahead}) != len(run) or len(ahead) != len(run):
            return frozenset()
        return ahead[run.index(number)].names

    def _list_of(self, number: Number) -> list[Number]:
        """The neighbouring numbers that form one list with this one."""
        numbers = self.scene.numbers
        low = high = numbers.index(number)
        while low > 0 and self._one_list(numbers[low - 1], numbers[low]):
            low -= 1
        while high + 1 < len(numbers) and self._one_list(numbers[high], numbers[high + 1]):
            high += 1
        return numbers[low : high + 1]

    def _one_list(self, first: Number, second: Number) -> bool:
        return listed(self.scene, first, second) and not any(
            first.end <= m.start < second.start for m in (*self.scene.fields, *self.scene.bases, *self.scene.parts)
        )

    # --- one fact ----------------------------------------------------------------------------------------------

    def _misfit(self, number: Number, known: Known, scope: Scope, nouns: list[str]) -> str:
        """Why a fact with the right value is not what the sentence says; "" if it is."""
        place = f"is {known.fact.subject}.{known.fact.field} in {known.evidence}".replace(" .", " ")
        if nouns and not any(noun in known.words or f"n_{noun}" == known.fact.field for noun in nouns):
            if known.words & {"findings", "samples", "regions", "channels", "features", "index", "left", "top"}:
                return f"{place}, not a number of {nouns[0]}"
            if known.number != int(known.number or 0) or known.level == "call":
                return f"{place}, not a number of {nouns[0]}"
        elif scope.field and not nouns and not scope.fits_field(known):
            return f"{place}, not {_spoken(scope.field)}"
        if not self._fits_base(known, scope):
            return f"{place}, not of {_names(scope.bases or scope.runs)}"
        if not self._fits_part(known, scope):
            return f"{place}, not of {_names(scope.parts)}"
        role = self._wrong_role(number, known)
        return f"{place}, not the {role} one" if role else ""

    def _fits_base(self, known: Known, scope: Scope) -> bool:
        if known.level == "call":
            return scope.field is not None or scope.bases is None
        if known.level == "finding":
            return not scope.bases or bool(known.bases & scope.bases)
        if scope.runs is not None:
            return bool(known.bases & scope.runs)
        if scope.bases and scope.field:  # a run's fact beside a finding's name: only where the finding has no such fact
            return not any(k.bases & scope.bases and scope.fits_field(k) for k in self.pool.numbers if k.level == "finding")
        return True

    def _fits_part(self, known: Known, scope: Scope) -> bool:
        if scope.parts is None or known.level == "call":
            return True
        if known.part:
            return known.part in scope.parts or self._holds(known, scope.parts)
        if scope.field is None:
            return True
        return not any(
            k.part in scope.parts and scope.fits_field(k) and k.bases == known.bases for k in self.pool.numbers if k.part
        )

    def _holds(self, known: Known, parts: frozenset[str]) -> bool:
        """Whether an interval's fact is told beside one of its channels: "cpu from 12:00 on (interval 1, 34 stamps)"."""
        return known.kind in ("interval", "region") and all(self.pool.parts.get(p) not in ("interval", "region") for p in parts)

    def _wrong_role(self, number: Number, known: Known) -> str:
        """The role that the words give the number and the fact does not have; "" if they agree."""
        for axis in ROLES:
            told = role_of(self.scene, number, axis) or self._told_by_order(number, axis)
            own = known.roles.get(axis, "")
            if told and own and told != own:
                return told
            if told == "after" and not own and self._has_twin(known, "after"):
                return told
            if own and not told and (axis, own) in CUES and not self.scene.has(CUES[axis, own]):
                return {"after": "present", "expected": "observed"}.get(own, "single")
            if axis == "rank" and told and not own and not self._is_extreme(known, told):
                return told
        return ""

    def _told_by_order(self, number: Number, axis: str) -> str:
        """ "observed and expected: 97.3 and 41.2", "from 8.2 to 1.1": roles by order."""
        run = self._list_of(number)
        marks = [m for m in self.scene.roles if m.kind == axis and m.end <= run[0].start][-2:]
        if len(run) == 2 and len(marks) == 2:
            between = self.scene.text[marks[0].end : marks[1].start]
            if re.fullmatch(r"\W*(?:and|or|against|versus|vs\.?)?\W*", between):
                return next(iter(marks[run.index(number)].names))
        if axis == "time" and len(run) == 2 and self._from_to(run):
            return ("before", "after")[run.index(number)]
        return ""

    def _from_to(self, run: list[Number]) -> bool:
        text = self.scene.text
        ahead, between = text[: run[0].start], text[run[0].end : run[1].start]
        return bool(re.search(r"\bfrom\W*$", ahead, re.I) and re.search(r"\bto\b|→|->", between))

    def _has_twin(self, known: Known, role: str) -> bool:
        return any(
            k.roles.get("time") == role and k.tail == known.tail and k.bases == known.bases and k.part == known.part
            for k in self.pool.numbers
        )

    def _is_extreme(self, known: Known, told: str) -> bool:
        """Whether a plain fact is the lowest or highest of its kind in the evidence."""
        if told == "middle":  # "mean grey level" is how a field is meant, unless a mean stands beside it
            return not any(k.roles.get("rank") == told and k.tail & known.tail for k in self.pool.numbers)
        peers = [
            k.number for k in self.pool.numbers
            if k.words == known.words and k.level == known.level and k.kind == known.kind and k.number is not None
        ]  # fmt: skip
        return known.number == (min(peers) if told == "low" else max(peers))

    # --- what follows from facts -------------------------------------------------------------------------------

    def _counted(self, number: Number, nouns: list[str], scope: Scope) -> bool:
        """Whether a count equals a count fact, or the number of things that the evidence or the sentence names."""
        n = int(number.value)
        for known in self.pool.numbers:
            if known.number is not None and any(noun in known.words for noun in nouns) and not known.unit:
                role = self._wrong_role(number, known)
                if self._meets(number, known.number) and self._fits_base(known, scope) and not role and (
                    not scope.parts or not known.part or known.part in scope.parts
                ):  # fmt: skip
                    return True
        sizes = self._sizes(nouns, scope)
        if n in sizes:
            return True
        ahead = self.scene.text[max(0, number.start - 30) : number.end + 30]
        partly = re.search(r"\b(?:top|most|first|last|lowest|highest|worst|strangest|gravest|latest|other|more|further)\b", ahead, re.I)
        return bool(partly and sizes and n <= max(sizes))

    def _meets(self, number: Number, truth: float) -> bool:
        if number.bound:
            return truth < number.value if number.bound == "<" else truth > number.value
        return number.agrees(truth)

    def _sizes(self, nouns: list[str], scope: Scope) -> set[int]:
        """How many things of a kind the evidence or the sentence names."""
        scene, pool = self.scene, self.pool
        sizes: set[int] = set()
        findings = {base for base in pool.bases() if base[0] == "F"}
        spots = [place.words for place in scene.places]
        if "findings" in nouns:
            chosen = {f for f in findings if not spots or self._lies(f, spots)}
            sizes |= {len(chosen), len([m for m in scene.bases if any(_is_finding(n) for n in m.names)])}
        if "samples" in nouns:
            sizes |= {len({b for b in pool.bases() if b.startswith("sample ")}), len(scene.bases)}
        for noun, kinds in (("regions", ("region", "interval")), ("channels", ("channel", "sensor")), ("features", ("feature", "column"))):
            if noun in nouns:
                owners = (scope.bases or findings) & findings or {""}
                for owner in owners:
                    named = {k.part for k in pool.known if k.kind in kinds and (not owner or owner in k.bases)}
                    if spots:
                        named = {p for p in named if self._lies(owner, spots, p)}
                    sizes.add(len(named))
                sizes.add(len({n for m in scene.parts if m.kind in kinds for n in m.names}))
                for known in pool.texts:
                    if known.fact.field == noun and (not scope.bases or known.bases & scope.bases):
                        sizes.add(len(str(known.fact.value).split(", ")))
        return sizes - {0}

    def _lies(self, base: str, spots: list[frozenset[str]], part: str = "") -> bool:
        return any(
            k.fact.field == "position" and (not base or base in k.bases) and (not part or k.part == part)
            and any(spot <= place_words(str(k.fact.value)) for spot in spots)
            for k in self.pool.texts
        )  # fmt: skip

    def _derived(self, number: Number, scope: Scope) -> bool:
        """A difference, a percentage of change, a sum, or a share of counts."""
        scene = self.scene
        behind, ahead = scene.text[number.end : number.end + 40], scene.text[max(0, number.start - 40) : number.start]
        crossed = re.search(r"\d\s*(?:px)?\s*by\s*$", ahead)
        if _DIFFERENCE.search(behind) or (_BY.search(ahead) and not crossed):
            direction = self._direction(number)
            for one, two in self._pairs(scope):
                if self._differs(number, one, two, direction):
                    return True
        if scene.has(_SUM) and self._sums(number, scope):
            return True
        return number.unit == "%" and self._share_of_counts(number, scope)

    def _direction(self, number: Number) -> int:
        """+1 more, -1 less, 0 unsaid."""
        behind = self.scene.text[number.end : number.end + 25]
        if re.match(rf"\W*(?:[a-z]+\s){{0,2}}?(?:{_MORE})\b", behind, re.I):
            return 1
        if re.match(rf"\W*(?:[a-z]+\s){{0,2}}?(?:{_LESS})\b", behind, re.I):
            return -1
        ahead = self.scene.text[max(0, number.start - 60) : number.start]
        if re.search(r"\b(?:rises?|rose|increases?d?|grows?|grew|higher|above|exceeds?|climbs?)\b[^,;]*\bby\W*$", ahead, re.I):
            return 1
        if re.search(r"\b(?:falls?|fell|drops?(?:ped)?|decreases?d?|sinks?|lower|below|reduces?d?)\b[^,;]*\bby\W*$", ahead, re.I):
            return -1
        return 0

    def _pairs(self, scope: Scope) -> Iterator[tuple[Known, Known]]:
        """Facts that may be set against each other, the one that is compared first: observed/expected, after/before,
        first-named/second-named finding or part."""
        fitting = [k for k in self.pool.numbers if scope.field is None or scope.fits_field(k)]
        order = [name for m in self.scene.bases for name in m.names]
        spoken = [name for m in self.scene.parts for name in m.names]
        for one, two in itertools.permutations(fitting, 2):
            if one.unit != two.unit or one.fact.field == "index":
                continue
            same_owner = one.bases == two.bases and one.part == two.part
            if same_owner and one.tail == two.tail:
                axis = next((a for a in ("seen", "time", "edge") if one.roles.get(a) != two.roles.get(a)), "")
                if axis and (one.roles.get(axis), two.roles.get(axis)) in (
                    ("observed", "expected"), ("after", "before"), ("after", None), ("end", "start"),
                ) and self._about(one, scope):  # fmt: skip
                    yield one, two
            elif one.words == two.words and not same_owner:
                if one.part == two.part and _rank(one.bases, order) < _rank(two.bases, order) < 99:
                    yield one, two
                if one.bases == two.bases and _rank({one.part}, spoken) < _rank({two.part}, spoken) < 99:
                    yield one, two

    def _about(self, known: Known, scope: Scope) -> bool:
        return (not scope.bases or bool(known.bases & scope.bases)) and (
            not scope.parts or not known.part or known.part in scope.parts
        )

    def _differs(self, number: Number, one: Known, two: Known, direction: int) -> bool:
        gap = (one.number or 0.0) - (two.number or 0.0)
        if direction and gap * direction < 0:
            return False
        if number.unit == "%" and one.unit != "%":
            base = abs(two.number or 0.0)
            return bool(base) and _coarse(number).agrees(100 * abs(gap) / base)
        if number.unit and one.unit and number.unit != one.unit:
            return False
        return Number(**{**number.__dict__, "value": abs(number.value)}).agrees(abs(gap))

    def _sums(self, number: Number, scope: Scope) -> bool:
        spoken = {name for m in self.scene.parts for name in m.names}
        for known in self.pool.numbers:
            if not known.part or not self._about(known, Scope(scope.bases, None, None, None)):
                continue
            peers = [k for k in self.pool.numbers if k.words == known.words and k.bases == known.bases and k.kind == known.kind]
            chosen = [k for k in peers if k.part in spoken] if spoken else peers
            if len(chosen) > 1 and scope.fits_field(known) and number.agrees(sum(k.number or 0.0 for k in chosen)):
                return True
        return False

    def _share_of_counts(self, number: Number, scope: Scope) -> bool:
        counts = [k for k in self.pool.numbers if k.words & {"findings", "samples", "flagged", "matching"} and not k.unit]
        for one, two in itertools.permutations(counts, 2):
            if one.bases == two.bases and two.number and number.agrees(100 * (one.number or 0.0) / two.number):
                return True
        return False

    def _ratio(self, number: Number, scope: Scope) -> bool:
        """ "twice", "3 times", "a third of": a ratio of two facts, or a share itself."""
        if number.kind == "fraction":
            coarse = Number(**{**number.__dict__, "rough": False})
            return any(
                coarse.agrees((k.number or 0.0) / (100 if k.unit == "%" else 1))
                for k in self.pool.numbers
                if (k.unit == "%" or 0 < (k.number or 0) < 1) and self._fits_base(k, scope) and self._fits_part(k, scope)
                and "value" not in k.words
            ) or any(two.number and coarse.agrees((one.number or 0.0) / two.number) for one, two in self._pairs(scope))  # fmt: skip
        for one, two in self._pairs(scope):
            for over, under in ((one.number, two.number), (two.number, one.number)):
                if over and under and over / under > 0 and _times_agree(number, over / under):
                    return True
        return any(matches(Number(**{**number.__dict__, "kind": "plain"}), k) and k.words & {"findings", "count", "times"}
                   for k in self.pool.numbers)  # fmt: skip

    def _extreme(self, number: Number, scope: Scope) -> bool:
        """ "p-values between 0.0004 and 0.02" over a list are facts already; here: rounded bounds of a range."""
        return False

    def _bounded(self, number: Number, scope: Scope) -> bool:
        """ "below 0.001": true of a fact of the named field."""
        if not number.bound or scope.field is None:
            return False
        fitting = [
            k for k in self.pool.numbers
            if scope.fits_field(k) and self._fits_base(k, scope) and self._fits_part(k, scope)
            and not self._wrong_role(number, k) and k.level != "call" and not (number.unit and k.unit and number.unit != k.unit)
        ]  # fmt: skip
        truths = [self._meets(number, k.number) for k in fitting if k.number is not None]
        return bool(truths) and (all(truths) if self.scene.has("all|every|each|both") else any(truths))

    def _noted(self, number: Number) -> bool:
        """Whether the number stands in a note of the evidence, beside a word that the sentence has too."""
        for match in re.finditer(rf"(?<![\w.]){re.escape(number.text.strip())}(?!\w|\.\d)", self.pool.notes):
            near = self.pool.notes[max(0, match.start() - 60) : match.end() + 60]
            words = {word for word in re.findall(r"[a-z]{4,}", near.lower())}
            if words & set(re.findall(r"[a-z]{4,}", self.scene.text.lower())):
                return True
        return False

    def _odds(self, number: Number) -> bool:
        """ "1 in 2,500" for a p-value of 0.0004; "12 of 240" for a share."""
        numbers = self.scene.numbers
        i = numbers.index(number)
        for one, two in ((i, i + 1), (i - 1, i)):
            if 0 <= one and two < len(numbers):
                first, second = numbers[one], numbers[two]
                between = self.scene.text[first.end : second.start]
                if re.fullmatch(r"\s(?:in|out of|per)\s(?:a\s|every\s)?", between) and second.value > first.value > 0:
                    value = first.value / second.value
                    fair = Number(0, 1, "", value, 0.1 * value)
                    return any(fair.agrees(k.number or 0.0) or (k.unit == "%" and fair.agrees((k.number or 0.0) / 100))
                               for k in self.pool.numbers if k.words & {"value", "alpha", "share"})  # fmt: skip
        return False

    def _ordinal(self, number: Number) -> str:
        """Ordinals are ranks where a counted thing or a superlative follows; elsewhere they order the speech."""
        behind = self.scene.text[number.end : number.end + 40]
        match = re.match(r"[\s-]+(?:(?:most|least)[\s-]\w+|highest|lowest|largest|smallest|strongest|\w+est)\b", behind, re.I)
        if match is None:
            return ""
        ranked = list(dict.fromkeys(b for k in self.pool.known if k.level == "finding" for b in sorted(k.bases) if b[0] == "F"))
        owner = nearest_before(self.scene.bases, number.start) or nearest_after(self.scene.bases, number.end)
        place = int(number.value) - 1
        if owner is None or len(ranked) < 2:
            return ""
        if place < len(ranked) and ranked[place] in owner.names:
            return ""
        return f"'{number.text}' does not follow from the order in the cited evidence"

    # --- words for the model -----------------------------------------------------------------------------------

    def _hint(self, scope: Scope, number: Number) -> str:
        """What the evidence holds instead, where that is plain."""
        for known in self.pool.numbers:
            if scope.field and scope.fits_field(known) and known.level != "call" and self._fits_base(known, scope) and (
                self._fits_part(known, scope)
            ) and not self._wrong_role(number, known):  # fmt: skip
                return f"; {known}"
        return ""

    def _unit_slip(self, number: Number) -> str:
        """The right digits with the wrong unit."""
        if not number.unit:
            return ""
        bare = Number(**{**number.__dict__, "unit": ""})
        for known in self.pool.numbers:
            if known.number is not None and bare.agrees(known.number):
                own = f"{known.unit}" if known.unit else "no unit"
                return f"'{number.text}' has the wrong unit: {known.fact.subject}.{known.fact.field} has {own}"
        return ""


def matches(number: Number, known: Known) -> bool:
    """Whether a fact's value and unit are what is written: rounded to the written precision, shares as percentages."""
    truth = known.number
    if truth is None:
        return False
    if number.unit == known.unit or not number.unit:
        shown = float(format_number(truth))
        if number.agrees(truth) or number.agrees(shown):
            return True
        return not number.unit and known.unit == "%" and number.step < 1 and number.agrees(truth / 100)
    if number.unit == "%" and not known.unit and 0 <= truth <= 1:
        return number.agrees(100 * truth)
    if number.unit in SECONDS and known.unit in SECONDS:
        return number.agrees(truth * SECONDS[known.unit] / SECONDS[number.unit])
    return False


def _coarse(number: Number) -> Number:
    return number


def _times_agree(number: Number, ratio: float) -> bool:
    if number.bound:
        return ratio < number.value if number.bound == "<" else ratio > number.value
    return number.agrees(ratio)


def _rank(names: set[str] | frozenset[str], order: list[str]) -> int:
    return min((order.index(name) for name in names if name in order), default=99)


def _is_finding(name: str) -> bool:
    return name.startswith("sample ") or re.fullmatch(r"F\d+", name) is not None


def _same_sort(one: Mention, two: Mention) -> bool:
    spots = {"region", "interval", "place"}
    return (one.kind in spots) == (two.kind in spots)


def _spoken(mention: Mention) -> str:
    return f"the {' '.join(sorted(mention.names))}"


def _names(names: frozenset[str] | None) -> str:
    ids = sorted(name for name in names or () if not name.startswith("sample "))
    return " or ".join(ids or sorted(names or ()))
