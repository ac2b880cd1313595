"""Checks what a sentence says of several things at once: both, all, neither, the same, in common, in one group.

Knows scenes and facts. Each thing's value is a fact in words: its kind, state, group, position, its channels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from assistant.kinds import load_kinds
from assistant.verify.binding import Binder
from assistant.verify.clauses import NOT, clause_at
from assistant.verify.facts import Known
from assistant.verify.mentions import Mention
from assistant.verify.owners import is_finding
from assistant.verify.reading import place_words

_ALL = re.compile(
    r"\b(?P<word>both|all|each|neither|none|every)\b(?: of (?:the|these|them))?(?: (?:the|these|those|its|of))?"
    r"(?: \w+){0,2}? ?(?P<noun>findings?|events?|intervals?|regions?|spots?|places?|ones?|them|two|three|four|five)\b",
    re.I,
)
_SAME = re.compile(
    r"\b(?P<what>same|different|another|one|common) (?:\w+ )?(?P<field>run|kind|state|method|modality|sample"
    r"|group|position"
    r"|place|day|date|clip|file|video|channel|feature|part)s?\b",
    re.I,
)
_TOGETHER = re.compile(
    r"\b(?:form a group|belong together|are grouped together|go together|(?:in|to|into) one group)\b", re.I
)
_FIELDS = {"channel": ("main_part",), "feature": ("main_part",), "part": ("main_part",),
           "place": ("position", "place"), "position": ("position", "place")}  # fmt: skip
_COMMON = re.compile(r"\b(?:in common|share|shared|both involve|overlap)\b", re.I)
_ONLY = re.compile(r"\bonly (?=(?:the )?(?:first|second|third|region|interval|F\d))", re.I)
_NO_COUNT = re.compile(r"\b(?:none|neither|no (?:finding|one|sample|event|alarm)s?)\b", re.I)


def set_problems(binder: Binder) -> Iterator[str]:
    """What does not hold of all of the things that a sentence puts together."""
    for check in _CHECKS:
        yield from check(binder)


def _same(binder: Binder) -> Iterator[str]:
    """ "F62 was found in the same run as F88", "F5 and F9 are in different groups"."""
    scene = binder.scene
    for match in _SAME.finditer(scene.text):
        what, field = match["what"].lower(), match["field"].lower()
        if what in ("another", "one", "common") and field not in ("group",):
            continue
        names = _findings(binder)
        start, _ = clause_at(scene.text, match.start())
        here = [
            m.names for m in scene.bases if start <= m.start < match.start() and any(is_finding(n) for n in m.names)
        ]
        names = here if len(here) > 1 else names
        if match["what"].lower() == "one" and not re.search(r"\b(?:in|into|form|to) $", scene.text[: match.start()]):
            continue
        values = [_values(binder, one, _FIELDS.get(field, (field,))) for one in names]
        if len(names) < 2 or any(len(value) != 1 for value in values):
            continue
        said = (what not in ("different", "another")) != (NOT.search(scene.text[: match.start()]) is not None)
        if (len(set().union(*values)) == 1) != said:
            yield f"the {field}s are {' and '.join(sorted(set().union(*values)))} in {binder.pool.cited}"


def _together(binder: Binder) -> Iterator[str]:
    """ "F24 and F28 form a group"."""
    match = _TOGETHER.search(binder.scene.text)
    names = _findings(binder) if match else []
    if match and binder.scene.text[match.end() :].strip(" .,:;"):
        limit = clause_at(binder.scene.text, match.start())[1]
        names = [m.names for m in binder.scene.bases if m.start < limit and any(is_finding(n) for n in m.names)]
    groups = [_values(binder, one, ("group",)) for one in names]
    if match is None or len(names) < 2 or any(len(group) != 1 for group in groups):
        return
    said = NOT.search(binder.scene.text[: match.start()]) is None
    if (len(set().union(*groups)) == 1) != said:
        yield f"the groups are {' and '.join(sorted(set().union(*groups)))} in {binder.pool.cited}"


def _findings(binder: Binder) -> list[frozenset[str]]:
    """The findings that are named, with the one spoken of before; else all that the evidence holds, where two."""
    named = [m.names for m in binder.scene.bases if any(is_finding(name) for name in m.names)]
    if len(named) == 1 and binder.scene.context and not named[0] & binder.scene.context:
        named.append(binder.scene.context)
    if named:
        return list(dict.fromkeys(named))
    held = sorted({base for base in binder.pool.bases() if re.fullmatch(r"F\d+", base)})
    return [frozenset([base]) for base in held] if len(held) == 2 else []


def _days(binder: Binder, names: frozenset[str]) -> set[str]:
    """On which days findings began."""
    times = [k.moment for k in binder.pool.texts if k.fact.field == "start_time" and k.bases & names and k.moment]
    return {str(time.date()) for time in times[:1]}


def _values(binder: Binder, names: frozenset[str], fields: tuple[str, ...]) -> set[str]:
    if fields[0] in ("day", "date"):
        return _days(binder, names)
    if fields[0] in ("clip", "file", "video"):
        samples = [str(k.fact.value) for k in binder.pool.texts if k.fact.field == "sample" and k.bases & names]
        return {sample.split(" ")[0] for sample in samples if " " in sample}
    facts = [k for k in binder.pool.texts if k.fact.field in fields and k.bases & names and len(k.bases) == 1]
    first = [k for k in facts if not k.part] or facts[:1]
    return {str(k.fact.value) for k in first}


def _kinds(binder: Binder) -> Iterator[str]:
    """ "Both findings are scratches", "all three are spikes"."""
    scene = binder.scene
    match = _ALL.search(scene.text) or re.search(r"\b(?P<word>both|all)\b", scene.text, re.I)
    if match is None or NOT.search(scene.text[: match.start()]):
        return
    start, end = clause_at(scene.text, match.end())
    if not any(start <= m.start < end for m in scene.bases):
        start = 0
    kinds = [k for k in binder.pool.texts if k.fact.field == "kind" and k.level == "finding" and not k.part]
    names = [m.names for m in scene.bases if start <= m.start < end and any(is_finding(n) for n in m.names)]
    kinds = [k for k in kinds if not names or any(k.bases & one for one in names)]
    for name, told in _kind_words():
        if not re.search(rf"\b(?:are|as|is|were|show|look like)\b[^,;]*\b{re.escape(told)}(?:e?s)?\b",
                         scene.text[match.end() : end], re.I):  # fmt: skip
            continue
        wrong = [k for k in kinds if str(k.fact.value) != name]
        if match["word"].lower() in ("neither", "none"):
            wrong = [k for k in kinds if str(k.fact.value) == name]
        if wrong and len(kinds) > 1:
            yield f"{wrong[0]}"
        return


def _kind_words() -> list[tuple[str, str]]:
    return [(kind.name, kind.name) for kind in load_kinds().all]


def _involve(binder: Binder) -> Iterator[str]:
    """ "Both intervals involve oil pressure", "only the first involves bearing temp"."""
    scene = binder.scene
    told: dict[str, set[str]] = {
        k.part: set(str(k.fact.value).split(", ")) for k in binder.pool.texts
        if k.fact.field in ("channels", "features") and k.part
    }  # fmt: skip
    if len(told) < 2:
        return
    for match in [*_ALL.finditer(scene.text), *_ONLY.finditer(scene.text)]:
        start, end = clause_at(scene.text, match.start())
        if start > match.start() or not re.search(r"\b(?:involv\w+|affect\w*|contain\w*|includ\w+|concern\w*|touch\w*"
                                                  r"|show\w*|hit)\b", scene.text[match.end() : end], re.I):  # fmt: skip
            continue
        channels = [m for m in scene.parts if match.end() <= m.start < end and m.kind not in ("interval", "region")]
        named = [m for m in scene.parts if match.end() - 1 <= m.start < end and m.kind in ("interval", "region")]
        for channel in channels[:1]:
            having = {part for part, names in told.items() if names & channel.names}
            if "word" not in match.groupdict():
                right = bool(named) and having == set(named[0].names)
            else:
                right = not having if match["word"].lower() in ("neither", "none") else having == set(told)
            if not right:
                yield f"{sorted(channel.names)[0]} is in {', '.join(sorted(having)) or 'none'} in {binder.pool.cited}"


def _common(binder: Binder) -> Iterator[str]:
    """ "They have only rotor speed in common"."""
    scene = binder.scene
    match = _COMMON.search(scene.text)
    shared = [k for k in binder.pool.texts if k.fact.field == "shared_parts"]
    if match is None or len(shared) != 1:
        return
    names = set(str(shared[0].fact.value).split(", "))
    start, end = clause_at(scene.text, match.start())
    said = [m for m in scene.parts if start <= m.start < end and m.kind not in ("region", "interval", "place")]
    if _NO_COUNT.search(scene.text[start:end]) or re.search(r"\bnothing\b", scene.text[start:end], re.I):
        if names != {"none"}:
            yield f"{shared[0]}"
    elif said and any(not m.names & names for m in said):
        yield f"{shared[0]}"


def _groups(binder: Binder) -> Iterator[str]:
    """ "F74 stands alone in its group", "the broken relations are F68, F67 and F73"."""
    scene, pool = binder.scene, binder.pool
    groups: dict[str, set[str]] = {}
    for known in pool.texts:
        if known.fact.field == "group":
            groups.setdefault(str(known.fact.value), set()).update(known.bases)
    findings = [m for m in scene.bases if any(is_finding(name) for name in m.names)]
    alone = re.search(r"\b(?:alone|by itself|on its own|the only (?:one|member|finding)) in (?:its|the|a) group\b",
                      scene.text, re.I)  # fmt: skip
    if alone and findings and not NOT.search(scene.text[: alone.start()]):
        subject = ([m for m in findings if m.end <= alone.start()] or findings)[-1]
        for name, members in groups.items():
            if subject.names & members and len(members) > 1:
                yield f"{name} has {len(members)} members in {pool.cited}"
    largest = re.search(r"\b(?:largest|biggest|smallest) group\b", scene.text, re.I)
    if largest and findings and groups and not NOT.search(scene.text[: largest.start()]):
        pick = min if "small" in largest[0].lower() else max
        size = pick(len(members) for members in groups.values())
        mine = [len(members) for members in groups.values() if findings[0].names & members]
        if mine and mine[0] != size and re.search(r"\b(?:belongs?|is|are|in|part)\b", scene.text[: largest.start()]):
            yield f"{sorted(findings[0].names)[0]} is in a group of {mine[0]} in {pool.cited}"


def _listed_kinds(binder: Binder) -> Iterator[str]:
    """ "The broken relations are F68, F67 and F73"."""
    scene = binder.scene
    for name, word in _kind_words():
        only = re.search(rf"\bthe (?:only |single |one )?{re.escape(word)}(?:\s[^,.;:]{{0,25}})? (?:is"
            rf"|was) (?P<who>F\d+)\b",
                         scene.text, re.I)  # fmt: skip
        listed = only or re.search(rf"\b{re.escape(word)}(?:e?s)?\s?(?:are|is|:|\(|,)\s?(?:namely )?"
                           r"(?P<who>F\d+(?:(?:, and|,| and)\s?F\d+)*)", scene.text, re.I)  # fmt: skip
        if listed is None:
            continue
        for one in re.findall(r"F\d+", listed["who"]):
            kinds = {str(k.fact.value) for k in binder.pool.texts if k.fact.field == "kind" and one in k.bases}
            if kinds and name not in kinds:
                yield f"{one} is no {name} in {binder.pool.cited}"


def _positions(binder: Binder) -> Iterator[str]:
    """ "F31 and F40 both lie at the upper centre": each of those named."""
    scene = binder.scene
    match = re.search(r"\bboth\b|\ball\b|\beach\b", scene.text, re.I)
    if match is None or not scene.places or NOT.search(scene.text[: match.start()]):
        return
    place = next((p for p in scene.places if p.start > match.end()), None)
    named: list[Mention] = [
        m for m in scene.bases if any(is_finding(n) for n in m.names) and place and m.end <= place.start
    ]
    if place is None or len(named) < 2:
        return
    for one in named:
        spots: list[Known] = [
            k for k in binder.pool.texts if k.fact.field in ("position", "place") and k.bases & one.names
        ]
        if spots and not any(place.words <= place_words(str(k.fact.value)) for k in spots):
            yield f"{spots[0]}"


_CHECKS: tuple[Callable[[Binder], Iterator[str]], ...] = (
    _same, _together, _kinds, _involve, _common, _groups, _listed_kinds, _positions,
)  # fmt: skip
