"""Checks that places are darker, higher or smaller than expected: one, both, all or neither of them.

Knows scenes and facts; not how sentences are split.
"""

from __future__ import annotations

import re

from assistant.verify.binding import Binder, concerns
from assistant.verify.clauses import NOT
from assistant.verify.facts import Known
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.reading import WORDS

_UP = "brighter|lighter|higher|larger|greater|faster|hotter|warmer|louder|longer|more"
_DOWN = "darker|dimmer|lower|smaller|slower|colder|cooler|quieter|shorter|less"
_EXPECTED = re.compile(
    rf"\b(?:(?P<up>{_UP})|{_DOWN}) than (?:(?:the |a |an )?[\d.,]*\s?[^\s,;]* ?(?:expected|normal|usual)\b"
    r"|(?:it|they|that) (?:should|would|ought)|(?:what )?(?:is|was|were)? ?(?:expected|normal|usual)\b|normally)",
    re.I,
)
_HOW_MANY = re.compile(rf"\b(?P<only>only |just )?(?P<n>\d+|{NUMBER_WORDS}|both|all|neither|none)\b", re.I)


def expected_problem(binder: Binder) -> str:
    """ "Both spots are darker than they should be": observed against expected, of the parts that are meant."""
    scene = binder.scene
    match = _EXPECTED.search(scene.text)
    if match is None or NOT.search(scene.text[: match.start()]):
        return ""
    signs = _signs(binder, match.start())
    said = match["up"] is not None
    right = [known for known, up in signs if up == said]
    if not signs:
        return ""
    many = _HOW_MANY.search(scene.text[: match.start()])
    kinds = {known.kind for known, _ in signs}
    if many and kinds <= {"region", "interval"} and re.search(r"\b(?:regions?|spots?|places?|areas?)\b", scene.text):
        word = many["n"].lower()
        wanted = {"both": len(signs), "all": len(signs), "neither": 0, "none": 0}.get(word, WORDS.get(word, -1))
        wanted = int(word) if word.isdigit() else wanted
        counts = re.match(r"\s(?:of\b|(?:\w+ )?(?:regions?|spots?|places?|areas?)\b)", scene.text[many.end() :])
        if wanted >= 0 and counts and wanted != len(right) and (many["only"] or word in ("both", "all", "neither")):
            return f"{len(right)} of {len(signs)} are {match[0].split(' ')[0].lower()} than expected"
    return "" if right else f"{signs[0][0]}, which is not '{match[0]}'"


def _signs(binder: Binder, position: int) -> list[tuple[Known, bool]]:
    """Each observed fact that the words before a position may speak of, and whether it is above the expected one."""
    scene = binder.scene
    named = [m for m in scene.parts if m.end <= position]
    names = named[-1].names if named else frozenset[str]()
    bound = [k for n in scene.numbers if n.end <= position for k in binder.facts_of(n) if k.fact.field == "observed"]
    found = []
    for one in binder.pool.numbers:
        if one.fact.field != "observed" or not concerns(binder, one) or (names and one.part not in names):
            continue
        if not names and bound and one not in bound:
            continue
        for two in binder.pool.numbers:
            if two.fact.field == "expected" and two.fact.subject == one.fact.subject and one.number != two.number:
                found.append((one, (one.number or 0.0) > (two.number or 0.0)))
    return list({known.fact.subject: (known, up) for known, up in found}.values())
