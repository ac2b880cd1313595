"""Checks what a sentence says would happen: after which repair a finding returns to normal, whether a method flags it.

Knows scenes and facts; asks no model. Several repairs may stand in one sentence ("once region 1 is repaired ...,
whereas with region 2 ..."), so each clause is held against the result of its own repair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from assistant.verify.binding import Binder, concerns
from assistant.verify.clauses import NOT
from assistant.verify.facts import plain
from assistant.verify.repairs import REPAIRS

RETURNS = (
    r"\b(?:makes?|made) (?!only)[^,;.]{1,30}? normal\b(?! (?:lift|bring|rais|would|version))"
    r"|\b(?:suffic(?:es?|ient)|(?:is|are|be) enough)\b|\bclear(?:s|ed)? (?=F\d|it\b|the finding)"
    r"|\bwould (?:not|no longer) be flagged\b|\bwouldn['’]t be flagged\b"
    r"|\bwould (?:then )?(?:pass|be (?:inconspicuous|unremarkable|cleared|fine|accepted|in order))\b"
    r"|(?<=F\d )passes\b|(?<=F\d\d )passes\b|\bjust (?:about )?passes\b"
)
_CLAUSE = re.compile(r";|:|,? \b(?:whereas|while|but|yet|although|though)\b", re.I)
_GOOD = re.compile(
    rf"\b(?:back|returns?|returned|returning|brings?|brought|goes|go|comes?)\b[^,;.]{{0,40}}?to normal|{RETURNS}"
    r"|no longer (?:be )?flagged|normal again|\bbecomes? normal",
    re.I,
)
_BAD = re.compile(
    r"\b(?:stays?|remains?|remain|is still|still|would still be|would be) (?:\w+ )?(?:flagged|anomalous|unusual)", re.I
)


def _outcomes(binder: Binder) -> str:
    """ "once region 1 is repaired F88 returns to normal, whereas with region 2 repaired it stays flagged"."""
    scene, start, last = binder.scene, 0, ""
    for end in [*(match.start() for match in _CLAUSE.finditer(scene.text)), len(scene.text)]:
        clause = scene.text[start:end]
        named = [name for m in scene.parts if start <= m.start < end for name in m.names]
        cue = REPAIRS.search(clause)
        about = str(cue.lastgroup) if cue else named[0] if named else last
        last = about or last
        start = end
        good, bad = _GOOD.search(clause), _BAD.search(clause)
        match = good or bad
        if match is None or not about or re.search(r"\bwhether\b", clause, re.I):
            continue
        said = (good is not None) != (NOT.search(clause[: match.start()]) is not None)
        for truth, told in _results(binder, about):
            if truth != said:
                return told
    return ""


def _results(binder: Binder, about: str) -> Iterator[tuple[bool, str]]:
    """Whether a finding returns to normal after a repair, with the fact that says so."""
    pool = binder.pool
    if about in ("named", "rest"):
        alphas = {k.number for k in pool.numbers if k.fact.field == "alpha" and k.bases}
        after = [k for k in pool.numbers if k.fact.field == f"{about}_repaired_p_value" and concerns(binder, k)]
        if len(alphas) == 1 and len(after) == 1:
            alpha = alphas.pop() or 0.0
            yield (after[0].number or 0.0) > alpha, f"{after[0]}, beside alpha {alpha:g}"
        return
    repaired = {k.evidence for k in pool.texts if k.fact.field == "repaired" and plain(str(k.fact.value)) == about}
    found = [k for k in pool.known if k.fact.field == "returns_to_normal" and k.evidence in repaired]
    if len(found) == 1:
        yield bool(found[0].fact.value), f"with {about} repaired, {found[0]}"


SUPPOSED: tuple[Callable[[Binder], str], ...] = (_outcomes,)
