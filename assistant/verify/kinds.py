"""Checks what a sentence says that something is: a kind that is named must be the kind that was measured.

"F3 is a scratch" holds where a cited result says F3.kind = "scratch", "no stain" where it says another. Knows the names
of kinds and facts; measures nothing.
"""

from __future__ import annotations

import re
from functools import cache

from assistant.kinds import load_kinds
from assistant.verify.binding import Binder
from assistant.verify.facts import plain
from assistant.verify.owners import is_finding

FIELDS = ("kind", "second_kind", "nearest_kind")
_SAYS = (
    r"(?:is|was|are|were|looks? like|looks?|seems?(?: to be)?|appears? to be|must be|resembles?|shows?|points? to"
    r"|suggests?|consistent with|typical of|kind|kind of|called|namely|a case of|as)"
)
_ADDED = (
    r"(?:\s(?:an?|the|this|most|more|likely|probably|perhaps|clearly|rather|not|no|of|like|small|typical|kind|:)){0,4}"
)
_LOOSE = re.compile(  # words for a kind that are as often said of something else
    r"line|cut|spot|missing|absent|object|(?:some)?thing on it|texture|colour|moved|shifted|peak|outlier|gap|step|jump"
    r"|shift|bias|offset|noise|noisy|trend|empty|null|extreme|out of range|too large|too small|mismatch|inconsistent"
    r"|smoother|rougher"
)
_HEDGED = re.compile(
    r"\b(?:next best|second|nearest|comes near|could also|or|runner-up|fits?|alternative(?:ly)?)\b", re.I
)
_SUPPOSED = re.compile(r"\?$|\b(?:whether|could|might|would|may)\b", re.I)
_NO = re.compile(r"\b(?:not|no|never|neither|nor|rather than|instead of)\b|n't\b", re.I)


def kind_problems(binder: Binder) -> list[str]:
    """What a sentence says about kinds that its facts do not hold."""
    scene, pool = binder.scene, binder.pool
    fields = {word for known in pool.known for word in known.words}
    counted = {known.fact.subject.partition("/kind ")[2] for known in pool.known}  # "R1/kind scratch.findings = 3"
    found = []
    for match in _claims().finditer(scene.text):
        name = match["name"].lower()
        told = load_kinds().called(name)
        if told is None or name in fields or told in counted:
            continue
        about = _about(binder, match.start("name"))
        measured = [known for known in pool.texts if known.fact.field in FIELDS and (not about or known.bases & about)]
        first = {str(known.fact.value) for known in measured if known.fact.field == "kind"}
        others = (
            {load_kinds().called(str(known.fact.value)) or "" for known in measured}
            if _HEDGED.search(scene.text)
            else set()
        )
        negated = _NO.search(scene.text[max(0, match.start() - 12) : match.start("name")]) is not None
        if not first:
            found.append(f"no kind is measured in {pool.cited}, so '{match['name']}' is not known")
        elif (told in first | others) == negated:
            found.append(f"the kind in {pool.cited} is {' or '.join(sorted(first))}, not as '{match['name']}' says")
    return [*found, *_unheard(binder), *_unsure(binder), *_likelier(binder)]


def _likelier(binder: Binder) -> list[str]:
    """ "A drift is more likely than a stuck sensor": the best kind before the second."""
    names = {str(k.fact.value): k for k in binder.pool.texts if k.fact.field in FIELDS}
    for match in re.finditer(r"\b(?P<more>more|less) (?:likely|probable) than\b", binder.scene.text, re.I):
        ahead = [
            (m.end(), n) for n in names for m in re.finditer(re.escape(n), binder.scene.text[: match.start()], re.I)
        ]
        behind = [
            (m.start(), n) for n in names for m in re.finditer(re.escape(n), binder.scene.text[match.end() :], re.I)
        ]
        if ahead and behind:
            first = max(ahead)[1] if match["more"].lower() == "more" else min(behind)[1]
            if names[first].fact.field != "kind":
                return [f"{names[first]}"]
    return []


def _unheard(binder: Binder) -> list[str]:
    """Kinds that a sentence names and no cited result does: "Rule 1 ignores stains" of a rule on scratches."""
    scene, pool = binder.scene, binder.pool
    found = []
    for kind in load_kinds().all:
        if _LOOSE.fullmatch(kind.name) or len(kind.name) < 4:
            continue
        match = re.search(rf"\b{re.escape(kind.name)}(?:e?s)?\b", scene.text, re.I)
        if match is None or _NO.search(scene.text[: match.start()]) or _SUPPOSED.search(scene.text):
            continue
        words = plain(kind.name)
        if not any(words in one.haystack or any(other in one.haystack for other in kind.also) for one in pool.read):
            found.append(f"'{match[0]}' is not in {pool.cited}")
    return found


def _unsure(binder: Binder) -> list[str]:
    """ "extreme value leads with 58 %": the confidence of the kind that is named beside it."""
    scene, pool, found = binder.scene, binder.pool, []
    for number in [n for n in scene.numbers if n.unit == "%"]:
        for known in binder.facts_of(number):
            field = {"kind_confidence": "kind", "second_kind_fit": "second_kind"}.get(known.fact.field)
            names = {str(k.fact.value): k for k in pool.texts if k.fact.field in FIELDS and k.bases & known.bases}
            right = [name for name, k in names.items() if k.fact.field == field]
            said = [
                (m.end(), name)
                for name in names
                for m in re.finditer(re.escape(name), scene.text[: number.start], re.I)
            ]
            numbers = [n for n in scene.numbers if n.unit == "%"]
            if len({name for _, name in said}) == len(numbers) > 1:  # "stuck rather than drift: 79 % against 12 %"
                said = [sorted(said)[numbers.index(number)]]
            if field and right and said and max(said)[1] not in right and len(names) > 1:
                found.append(f"'{number.text}' is {known.fact.field} in {known.evidence}, of '{right[0]}'")
    return found


def _about(binder: Binder, position: int) -> frozenset[str]:
    """The finding that the words at a position speak of: the one named last before them, else the one spoken of."""
    before = [m for m in binder.scene.bases if m.start < position and any(is_finding(name) for name in m.names)]
    return before[-1].names if before else binder.scene.context


@cache
def _claims() -> re.Pattern[str]:
    names = {word.lower() for kind in load_kinds().all for word in (kind.name, *kind.also)}
    telling = sorted((name for name in names if not _LOOSE.fullmatch(name)), key=len, reverse=True)
    spelled = "|".join(re.escape(name) for name in telling)
    says = rf"\b(?:{_SAYS}{_ADDED}|F\d+(?: \([^)]*\))?,\s(?:an?|the)(?:\slikely)?)\s*[:\"“]?\s*"
    return re.compile(rf"{says}(?P<name>{spelled})\b(?!-)", re.I)
