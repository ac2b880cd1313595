"""Binds the numbers of one sentence to facts: value, unit, field, role, and whose number it is.

Knows scenes and facts; not how sentences are split or what becomes of a problem. `number_problem` says in words what
does not match, or "" where the number is a fact, or follows from facts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property

from assistant.evidence import format_number
from assistant.verify.beside import count_noun, role_of
from assistant.verify.comparing import Comparing
from assistant.verify.comparison import COUNTING
from assistant.verify.facts import ROLES, SECONDS, Known, Pool
from assistant.verify.following import Following
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.loosely import Loosely
from assistant.verify.mentions import Mention
from assistant.verify.owners import Owners, Scope
from assistant.verify.reading import Number
from assistant.verify.repairs import repair_of, repair_told
from assistant.verify.rows import Rows
from assistant.verify.scene import Scene
from assistant.verify.tallies import Tallies

CUES = {  # words without which a fact with this role is not what the sentence speaks of
    (
        "time",
        "after",
    ): r"after\w*|repair\w*|counterfactual|would|if|without|then|now|becom\w+|returns?\w*|drops?\w*|falls?|"
    r"fell|rises?|rose|brings?|brought|lowers?|raises?|lifts?|normal version|new|alone|to|leav\w+|scores? again"
    r"|drop\w*|ends? up|"
    r"correct\w*|restor\w+|fix\w*|replac\w+|remov\w+|reduc\w+|under|with|nearest normal|at alpha",
    ("seen", "expected"): r"expect\w*|normal\w*|should|instead|rather|against|usual\w*|predict\w*|would|than|versus|vs|"
    r"counterfactual|model\w*|deviat\w*|compar\w+|typical\w*",
    (
        "rank",
        "low",
    ): r"lowest|smallest|minim\w+|min|least|most|strongest|down|as low|from|worst|strangest|top|gravest|best",
    (
        "rank",
        "high",
    ): r"highest|largest|maxim\w+|max|most|up to|top|greatest|biggest|as high|strongest|to|exceed\w*|worst",
    ("rank", "middle"): r"mean|median|average|typical\w*|usual\w*|normal\w*",
}

_SUPPOSING = re.compile(
    r"\b(?:after (?:an?|the|full|complete|this|that|its)?\s?(?:\w+\s)?(?:repairs?|repairing|change|correction)"
    r"|(?:repaired|mended|normal|corrected) version"
    r"|(?:once|if|when|with|had) [^,;]{1,40}?\b(?:is|are|was|were|been)?\s?"
    r"(?:put right|repaired|fixed|replaced|corrected|restored|mended|left out|dropped|ignored|removed)"
    r"|(?:leaving out|dropping|ignoring|removing|without) (?!\w+ing\b)[^,;]{1,30}"
    r"|at (?:the|this|that|an?) (?:stricter|tighter|lower|new|other|higher|looser|smaller|larger) (?:alpha"
    r"|level|threshold)"
    r"|(?:tightening|lowering|raising|loosening|setting|relaxing) alpha)",
    re.I,
)
_BEFORE = re.compile(
    r"\b(?:from|before|original(?:ly)?|previous(?:ly)?|initial(?:ly)?|instead of|rather than|than|against|vs\.?"
    r"|versus|after|compared (?:to|with)|still|was|were|had)\W+(?:\w+\W+){0,3}$",
    re.I,
)
_WHOLE = (
    r"(?:repaired|mended|normal|corrected) version|counterfactual|full(?:y)? repair\w*|complete repair|nearest normal"
    r"|everything (?:put right|repaired)"
)
_EDGES = (  # words without which the edge of a range or of an interval is not what a sentence speaks of
    r"low\w*|high\w*|upper|between|range\w*|interval|from|to|up to|reach\w*|least|most|above|below|over|under|ends?"
    r"|starts?|limits?|bounds?|edge|usual\w*|normal\w*|confidence|certain|wide"
)
_COUNTED = frozenset(["length", "start", "end", "index", "onset", "delay", "duration"])  # in stamps, rows or frames
_STATE_WORDS = frozenset(["new", "confirmed", "false", "skipped"])


class Binder:
    """Numbers of one sentence against the facts it cites."""

    def __init__(self, scene: Scene, pool: Pool) -> None:
        self.scene = scene
        self.pool = pool
        self.owners = Owners(scene)
        self.following = Following(self)
        self.tallies = Tallies(scene, pool)
        self.rows = Rows(scene, pool)
        self._named = {m.names for m in self.owners.findings}

    @cached_property
    def comparing(self) -> Comparing:
        """The comparisons of the sentence."""
        return Comparing(self.scene, self.pool, self.facts_of)

    def number_problem(self, number: Number) -> str:
        """What is wrong with a number, "" if nothing."""
        told = self.tallies.problem(number)
        if told != "" and (counted := self.rows.problem(number)) is not None:
            told = counted
        if told is None:
            told = self.comparing.amount_problem(number)
        if told is not None:
            return told
        summed = self.following.sum_problem(number)
        if summed is not None:
            return summed
        nouns = count_noun(self.scene, number)
        scope = self._scope(number)
        if number.kind == "ordinal":
            return ""  # see `ranks`
        if self.following.holds(number, scope, nouns):
            return ""
        near = []
        compares = self.following.is_difference(number)
        for known in self.pool.numbers:
            if compares and not known.words & {"difference", "deviation", "change", "gap"}:
                continue
            if (
                number.kind not in ("times", "fraction")
                and matches(number, known)
                and not _only_near(number, known)
                and not _too_coarse(number, known, scope)
            ):
                reason = self._misfit(number, known, scope, nouns)
                if not reason:
                    return ""
                near.append(reason)
        if Loosely(self).holds(number, scope):
            return ""
        if near:
            return f"'{number.text}' {near[0]}{self._hint(scope, number)}"
        return self._unit_slip(number) or f"'{number.text}' is not in {self.pool.cited}{self._hint(scope, number)}"

    def _scope(self, number: Number) -> Scope:
        """Whom and what a number is about; a field that is never told in its unit is another number's."""
        scope = self.owners.scope(number)
        if scope.field is None or number.unit in ("", "%") or number.kind != "plain":
            return scope
        fields = [k for k in self.pool.numbers if scope.fits_field(k)]
        units = {k.unit for k in fields}
        if units and units == {"%"} and any(k.unit == number.unit for k in self.pool.numbers):
            return replace(scope, field=None)
        return scope

    def facts_of(self, number: Number) -> list[Known]:
        """The facts that a number states."""
        scope = self._scope(number)
        return [k for k in self.pool.numbers if matches(number, k) and not self._misfit(number, k, scope, [])]

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
        if not self.fits_base(known, scope):
            return f"{place}, not of {_names(scope.bases or scope.runs)}"
        if not self.fits_part(known, scope):
            return f"{place}, not of {_names(scope.parts)}"
        role = self.wrong_role(number, known) or self.wrong_state(number, known)
        return f"{place}, not the {role} one" if role else ""

    def fits_base(self, known: Known, scope: Scope) -> bool:
        if known.level == "call":
            return scope.field is not None or scope.bases is None
        if known.fact.field == "alpha" and scope.field and len(
            {k.number for k in self.pool.numbers if k.fact.field == "alpha"}
        ) == 1:  # fmt: skip
            return True
        if known.level == "finding":
            if len(known.bases) > 1 and len(self._named) > 1:  # "F3 vs F1": a fact about a pair
                return all(any(base in names for names in self._named) for base in known.bases)
            return not scope.bases or bool(known.bases & scope.bases)
        if scope.runs is not None:
            return bool(known.bases & scope.runs)
        if scope.bases and scope.field:  # a run's fact beside a finding's name: only where the finding has no such fact
            return not any(
                k.bases & scope.bases and scope.fits_field(k) for k in self.pool.numbers if k.level == "finding"
            )
        return True

    def fits_part(self, known: Known, scope: Scope) -> bool:
        if scope.parts is None or known.level == "call" or known.roles.get("time") == "before":
            return True
        if known.part:
            inside = any(known.part.startswith(f"{part} ") for part in scope.parts)  # "gripper width" of the gripper
            return known.part in scope.parts or inside or self._holds(known, scope.parts)
        if scope.field is None:
            return True
        return not any(
            k.part in scope.parts and scope.fits_field(k) and k.bases == known.bases
            for k in self.pool.numbers
            if k.part
        )

    def _holds(self, known: Known, parts: frozenset[str]) -> bool:
        """Whether an interval's fact is told beside one of its channels: "cpu, from 12:00 on (34 stamps)"."""
        return known.kind in ("interval", "region") and all(
            self.pool.parts.get(p) not in ("interval", "region") for p in parts
        )

    def wrong_role(self, number: Number, known: Known) -> str:
        """The role that the words give the number and the fact does not have; "" if they agree."""
        if repair := repair_of(known):
            told = repair_told(self.scene, number.start, number.end)
            if told and told != repair:
                return told
        for axis in ROLES:
            told = self._told_by_order(number, axis) or role_of(self.scene, number, axis)
            own = known.roles.get(axis, "")
            if told and own and told != own:
                return told
            if told == "after" and not own and self._has_twin(known, "after"):
                return told
            if (
                axis == "time"
                and not told
                and own != "after"
                and self._supposes(number)
                and self._has_twin(known, "after")
            ):
                return "changed"
            if own and not told and (axis, own) in CUES and not self.scene.has(CUES[axis, own]):
                return {"after": "present", "expected": "observed"}.get(own, "single")
            if axis == "rank" and known.words & {"low", "high"} and not self.scene.has(_EDGES):
                return "middle"
            if axis == "seen" and known.unit == "%" and "share" in known.words and self._left_over(known):
                return "left-over"
            if axis == "rank" and told and not own and not self._is_extreme(known, told):
                return told
        if known.roles.get("time") == "after" and "counterfactual" not in known.words and self.scene.has(_WHOLE):
            return "counterfactual" if self._has_twin(known, "after", "counterfactual") else ""
        return ""

    def _left_over(self, known: Known) -> bool:
        """ "15 % of the score lies outside the regions": what no place holds."""
        outside = self.scene.has(r"outside (?:of )?(?:the|these|both|any|all|those)") and any(
            "outside" in k.words for k in self.pool.numbers
        )
        return outside and "outside" not in known.words

    def _supposes(self, number: Number) -> bool:
        """ "Once the hour is put right, the score is 1.03": what holds after a change, unless it is told of before."""
        ahead = self.scene.text[: number.start]
        if re.search(r"\w\s(?:out )?of (?:the |its |all )?$", ahead):
            return False  # "costs two of the seven": of those before
        return _SUPPOSING.search(ahead) is not None and _BEFORE.search(ahead[-45:]) is None

    def wrong_state(self, number: Number, known: Known) -> str:
        """ "four were confirmed" is not the count of new findings: the state that is told, where it is another."""
        if not known.words & (_STATE_WORDS | {"findings"}):
            return ""
        own = next(iter(known.words & _STATE_WORDS), "")
        words = "|".join(sorted(_STATE_WORDS))
        if not own and re.search(r"\w\s(?:out\s)?of\s(?:the\s)?$", self.scene.text[: number.start], re.I):
            return ""  # "three of the seven are confirmed": of all seven
        behind = re.match(
            rf"(?:[\s,]+(?!(?:{NUMBER_WORDS}|\d+)\b)\w+){{0,6}}?[\s,]+({words})\b", self.scene.text[number.end :], re.I
        )
        ahead = re.search(rf"\b({words})\W+(?:\w+\W+)?$", self.scene.text[: number.start], re.I)
        near = behind or ahead
        told = near[1].lower() if near else ""
        if told == own or not (own or told == "confirmed"):  # "new" is also said of what is no state
            return ""
        if own and not told and {w for w in _STATE_WORDS if self.scene.has(w)} == {own}:
            return ""
        return told or "overall"

    def _told_by_order(self, number: Number, axis: str) -> str:
        """ "observed and expected: 97.3 and 41.2", "from 8.2 to 1.1": roles by order."""
        run = [n for n in self.owners.list_of(number) if n is number or n.kind not in ("times", "fraction")]
        marks = [m for m in self.scene.roles if m.kind == axis and m.end <= run[0].start][-2:]
        if len(run) == 2 and len(marks) == 2:
            between = self.scene.text[marks[0].end : marks[1].start]
            if re.fullmatch(r"\W*(?:and|or|against|versus|vs\.?)?\W*", between):
                return next(iter(marks[run.index(number)].names))
        if axis == "time" and re.search(r"\b(?:down|up|starting) from\W*$", self.scene.text[: number.start], re.I):
            return "before"
        if axis == "time" and len(run) == 2 and self._from_to(run):
            return ("before", "after")[run.index(number)]
        return self._told_by_instead(number) if axis == "time" else ""

    def _told_by_instead(self, number: Number) -> str:
        """ "leaves one finding instead of four": what is after, then what was before."""
        text, instead = self.scene.text, r"(?:instead of|rather than)"
        if re.search(rf"\b{instead}\W+(?:the\s|its\s)?(?:\w+\s)?$", text[: number.start], re.I):
            return "before"
        return "after" if re.match(rf"\W*(?:\w+\W+){{0,2}}{instead}\s\W*(?:\w+\s)?\w", text[number.end :], re.I) else ""

    def _from_to(self, run: list[Number]) -> bool:
        text = self.scene.text
        ahead, between = text[: run[0].start], text[run[0].end : run[1].start]
        return bool(re.search(r"\bfrom\W*$", ahead, re.I) and re.search(r"\bto\b|→|->", between))

    def _has_twin(self, known: Known, role: str, word: str = "") -> bool:
        return any(
            k.roles.get("time") == role
            and (not word or word in k.words)
            and k.tail == known.tail
            and k.bases == known.bases
            and k.part == known.part
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

    # --- words for the model -----------------------------------------------------------------------------------

    def _hint(self, scope: Scope, number: Number) -> str:
        """What the evidence holds instead, where that is plain."""
        for known in self.pool.numbers:
            if scope.field and scope.fits_field(known) and known.level != "call" and self.fits_base(known, scope) and (
                self.fits_part(known, scope)
            ) and not self.wrong_role(number, known):  # fmt: skip
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


def concerns(binder: Binder, known: Known) -> bool:
    """Whether a fact is about something that the sentence names (or it names nothing)."""
    names = {
        name for mention in binder.scene.bases for name in mention.names if name[0] in "Fs"
    } or binder.scene.context
    return not names or bool(known.bases & names)


def matches(number: Number, known: Known) -> bool:
    """Whether a fact's value and unit are what is written: rounded to the written precision, shares as percentages."""
    truth = known.number
    if truth is None:
        return False
    counting = number.unit in COUNTING and not known.unit and bool(known.words & _COUNTED)
    if number.unit == known.unit or not number.unit or counting:
        shown = float(format_number(truth))
        if number.agrees(truth) or number.agrees(shown):
            return True
        return not number.unit and known.unit == "%" and number.step < 1 and number.agrees(truth / 100)
    if number.unit == "%" and not known.unit and 0 <= truth <= 1:
        return number.agrees(100 * truth)
    if number.unit in SECONDS and known.unit in SECONDS:
        return number.agrees(truth * SECONDS[known.unit] / SECONDS[number.unit])
    return False


def _only_near(number: Number, known: Known) -> bool:
    """ "below 0.01" is no way to write 0.0102: a bound is written exactly, or kept."""
    truth = known.number or 0.0
    off = abs(truth - number.value) > 1e-9 * abs(truth)
    return bool(number.bound) and off and (truth < number.value) != (number.bound == "<") and number.unit == known.unit


def _too_coarse(number: Number, known: Known, scope: Scope) -> bool:
    """ "3" is no way to write 3.07, unless the sentence says of what."""
    timed = number.unit in SECONDS and known.unit in SECONDS
    if number.rough and not scope.field and number.unit != known.unit and not timed:
        return True
    whole = known.number is not None and known.number == int(known.number)
    return not (whole or scope.field or number.rough) and number.step >= 1 and abs(number.value) < 10


def _spoken(mention: Mention) -> str:
    return f"the {' '.join(sorted(mention.names))}"


def _names(names: frozenset[str] | None) -> str:
    ids = sorted(name for name in names or () if not name.startswith("sample "))
    return " or ".join(ids or sorted(names or ()))
