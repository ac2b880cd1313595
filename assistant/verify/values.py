"""Checks values in words against whose they are: a note, a reason, who did it, a country, the usual category.

Knows scenes and facts. A value that stands in the evidence for one thing does not hold for another that is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from assistant.verify.binding import Binder
from assistant.verify.clauses import NOT, clause_at
from assistant.verify.facts import Known
from assistant.verify.mentions import Mention

_FIELDS = frozenset(
    ["note", "reason", "why", "who", "via", "source", "title", "ignores", "command", "observed", "expected",
     "normal_most_frequent", "last_day", "first_day", "action"]
)  # fmt: skip
_DONE_BY = re.compile(
    r"\b(?:labelled|confirmed|dismissed|made|changed|undone|set|created|judged|marked|added|entered|reviewed) by "
    r"(?:(?:the )?(?:user|person|colleague) )?(?P<who>[\w.@-]+)",
    re.I,
)
_USUAL = re.compile(r"\bmost (?:frequent|common|usual|often)\b", re.I)
_VIA = {"page": r"(?:in|on|from|through|via) the (?:page|chat|browser|app)", "python": r"(?:in|from|with"
    r"|through) python",
        "command line": r"(?:in|on|from) the (?:command line|terminal|shell)"}  # fmt: skip


def value_problems(binder: Binder) -> Iterator[str]:
    """Values in words that belong to something else than the sentence says."""
    for check in _CHECKS:
        yield from check(binder)


def _owned(binder: Binder) -> Iterator[str]:
    """ "F81 was confirmed with the note ..." of another finding."""
    scene, texts = binder.scene, [k for k in binder.pool.texts if k.fact.field in _FIELDS]
    for known in texts:
        value = str(known.fact.value)
        if len(value) < 2 or value.lower() in ("yes", "no", "none") or known.moment:
            continue
        for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", scene.text):
            if any(m.start <= match.start() < m.end for m in scene.bases):
                continue
            like = [k for k in texts if (k.fact.field == known.fact.field or known.part) and k.part == known.part]
            owners = _owners(binder, match.start(), like)
            if not owners or not any(k.bases & owners for k in like):
                continue
            if not any(k.bases & owners and str(k.fact.value) == value for k in [*like, *binder.pool.texts]):
                yield f"'{value}' is {known.fact.subject}.{known.fact.field} in {known.evidence}"


def _owners(binder: Binder, position: int, like: list[Known]) -> frozenset[str]:
    """Whose a value is said to be: the thing named last before it that has such a value, else the first after it."""
    having = frozenset(base for k in like for base in k.bases)
    named = [m for m in binder.scene.bases if m.names & having]
    before = [m for m in named if m.end <= position]
    chosen: list[Mention] = before[-1:] or named[:1]
    return chosen[0].names if chosen else binder.scene.context


def _done_by(binder: Binder) -> Iterator[str]:
    """ "labelled by tom"."""
    who = {str(k.fact.value).lower() for k in binder.pool.texts if k.fact.field == "who"}
    for match in _DONE_BY.finditer(binder.scene.text) if who else ():
        name = match["who"].lower().rstrip(".,;")
        if name not in who and name not in (
            "hand",
            "the",
            "a",
            "an",
            "its",
            "people",
            "someone",
            "somebody",
            "mistake",
        ):
            yield f"'{match['who']}' is not who did it: {' or '.join(sorted(who))} in {binder.pool.cited}"


def _usual(binder: Binder) -> Iterator[str]:
    """ "the most frequent carrier among normal rows is the courier"."""
    scene = binder.scene
    match = _USUAL.search(scene.text)
    told = [k for k in binder.pool.texts if k.fact.field == "normal_most_frequent"]
    if match is None or not told or NOT.search(scene.text[: match.start()]):
        return
    start, end = clause_at(scene.text, match.start())
    named = [m for m in scene.parts if start <= m.start < end]
    told = [k for k in told if any(k.part in m.names for m in named)] or (told if len(told) == 1 else [])
    if told and not any(str(k.fact.value).lower() in scene.text.lower() for k in told):
        yield f"{told[0]}"


def _via(binder: Binder) -> Iterator[str]:
    """ "The changes were made in the chat"."""
    told = {str(k.fact.value) for k in binder.pool.texts if k.fact.field == "via"}
    for name, pattern in _VIA.items() if told else ():
        wrong = not any(name in value or value in name for value in told)
        if wrong and re.search(
            rf"\b(?:made|done|changed|labelled|entered)\b[^,;]*\b{pattern}\b", binder.scene.text, re.I
        ):
            yield f"it was done via {' or '.join(sorted(told))} in {binder.pool.cited}"


def _about(binder: Binder) -> Iterator[str]:
    """ "Change A1 moved F28": the finding that a change was about."""
    scene = binder.scene
    for known in binder.pool.texts:
        if known.fact.field != "about":
            continue
        mine = next((m for m in scene.bases if m.names & known.bases), None)
        other = next((m for m in scene.bases if mine and m.start > mine.end), None)
        near = mine and other and re.fullmatch(r"[^,;]{0,40}", scene.text[mine.end : other.start])
        if near and other and str(known.fact.value) not in other.names and any(n[0] == "F" for n in other.names):
            yield f"{known}"


_CHECKS: tuple[Callable[[Binder], Iterator[str]], ...] = (_owned, _done_by, _usual, _via, _about)
