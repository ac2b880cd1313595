"""Checks one cited sentence against its facts: ids, names, parts, places, times, values in words, and all numbers.

Knows scenes, facts and the binder; not how answers are split or what becomes of a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from assistant.verify.beside import group_of, nearest_after, nearest_before, trailing
from assistant.verify.binding import Binder
from assistant.verify.facts import Known, Pool, plain
from assistant.verify.kinds import kind_problems
from assistant.verify.mentions import Mention
from assistant.verify.owners import is_finding
from assistant.verify.reading import Moment, Place, place_words
from assistant.verify.relations import relation_problems
from assistant.verify.scene import Scene

_OFFER = re.compile(
    r"(?:shall|should|would you|do you|did you|which|what|who|why|when|where|could|can|may|want|is it|are you|how"
    r"|if you|you (?:can|could|may)|ask|try|"
    r"please|say|for example|let me know|tell me)\b",
    re.I,
)
FOLLOWS = re.compile(
    r"\b(?:other|another|second|next|remaining|both|each|all|they|these|range|between|them|respectively)\b", re.I
)
_APPOSITION = re.compile(
    r"\s*(?:\(|,|:|=|–|—)?\s*(?:(?!(?:not|and|or|than|like|near|after|before|with|to|while|whereas"
    r"|unlike)\b)\w+\s){0,4}?"
    r"(?:(?:is|was|as|from|in|means|called|named|to)\s)?(?:the\s)?(?:finding|sample|part|file|picture|image|row)?\s*",
    re.I,
)


def problems_of(scene: Scene, pool: Pool) -> list[str]:
    """Everything in one cited sentence that its evidence does not hold."""
    binder = Binder(scene, pool)
    cited = pool.cited
    found = [
        f"'{scene.text[m.start : m.end]}' is not in {cited}"
        for m in scene.bases
        if scene.text[m.start : m.end] not in {piece for unit in pool.units for piece in unit.split("/")}
        and not _is_known(m.names, scene, m.start, m.end, pool)
    ]
    found += [f"'{name}' is not in {cited}" for name, _, _ in scene.quoted
              if not pool.says(name) and not any(name in unit for unit in pool.units)]  # fmt: skip
    found += [f"'{scene.text[m.start : m.end]}' is not in {cited}" for m in scene.parts
              if m.kind != "place" and not any(pool.says(name) for name in m.names)]  # fmt: skip
    found += [problem for one, two in pairwise(scene.bases) if (problem := _same_thing(one, two, scene, pool))]
    found += [problem for part in scene.parts if (problem := _wrong_owner(part, _owners_of(scene, part), pool))]
    found += [problem for place in scene.places if (problem := _place_problem(place, scene, pool))]
    found += [problem for moment in scene.moments if (problem := _moment_problem(moment, scene, pool))]
    found += [problem for number in scene.numbers if (problem := binder.number_problem(number))]
    found += [*_texts(scene, pool), *_scattered(binder), *_dimensions(scene, pool)]
    return list(dict.fromkeys([*found, *relation_problems(binder), *kind_problems(binder)]))


def states_facts(scene: Scene) -> bool:
    """Whether a sentence holds anything that can be looked up."""
    counted = [n for n in scene.numbers if n.kind != "ordinal"]
    return bool(counted or scene.bases or scene.moments or scene.places or scene.parts or scene.quoted)


def offers(text: str) -> bool:
    """Whether a sentence asks or proposes instead of stating: "Shall I repair region 1?"."""
    return (text.endswith("?") and _OFFER.match(text) is not None) or re.match(
        r"(?:you can|you could|you may|ask|try|say)\b", text, re.I
    ) is not None


def _is_known(names: frozenset[str], scene: Scene, start: int, end: int, pool: Pool) -> bool:
    return any(pool.says(name.removeprefix("sample ")) or pool.says(name) for name in names) or pool.says(
        scene.text[start:end]
    )


def _wrong_owner(part: Mention, owners: frozenset[str], pool: Pool) -> str:
    """A region or channel that the evidence holds, but for none of the findings meant."""
    if not owners:
        return ""
    having = [k for k in pool.known if k.part in part.names and k.level != "call"]
    having += [k for k in pool.texts if part.names & set(str(k.fact.value).split(", ")) and k.level != "call"]
    if not having or any(k.bases & owners or k.level == "run" for k in having):
        return ""
    owner = sorted(having[0].bases)[0]
    return f"'{sorted(part.names)[0]}' is a part of {owner} in {having[0].evidence}, not of what the sentence names"


def _owners_of(scene: Scene, part: Mention) -> frozenset[str]:
    """Whose a part is said to be: any of the findings named; with "respectively", the one in the same place."""
    findings = [m for m in scene.bases if any(is_finding(name) for name in m.names)]
    if findings and scene.has("respectively"):
        theirs, parts = group_of(scene, findings, findings[0]), group_of(scene, scene.parts, part)
        if len(theirs) == len(parts):
            return theirs[parts.index(part)].names
    return frozenset(name for m in findings for name in m.names) or scene.context


def _same_thing(one: Mention, two: Mention, scene: Scene, pool: Pool) -> str:
    """ "F1 (part_031.png)": an id and a name side by side must mean the same finding."""
    ids = [m for m in (one, two) if re.fullmatch(r"F\d+", scene.text[m.start : m.end])]
    between = scene.text[one.end : two.start]
    if len(ids) != 1 or one.names & two.names or not _APPOSITION.fullmatch(between):
        return ""
    other = two if ids[0] is one else one
    name = scene.text[other.start : other.end]
    if not any(base.startswith("sample ") for base in other.names):
        return ""
    return f"'{name}' is not the sample of {scene.text[ids[0].start : ids[0].end]} in {pool.cited}"


def _place_problem(place: Place, scene: Scene, pool: Pool) -> str:
    parts = nearest_before([m for m in scene.parts if m.kind in ("region", "interval")], place.start) or next(
        (m for m in scene.parts if m.kind == "region" and m.start >= place.end), None
    )
    if re.match(r"[\s-](?:region|spot|place|one|area|interval)\b", scene.text[place.end :], re.I):
        parts = None  # "the middle region": named by its place
    findings = [m for m in scene.bases if any(n[0] in "Fs" for n in m.names)]
    owner = nearest_before(findings, place.start) or nearest_after(findings, place.end)
    owners = owner.names if owner else scene.context
    spots = [k for k in pool.texts if k.fact.field in ("position", "place") and (not owners or k.bases & owners)]
    spots = [k for k in spots if not parts or k.part in parts.names] or spots
    if any(kind == "position" and place_words(name) == place.words for name, kind in pool.parts.items()):
        return ""
    if not spots and any(plain(place.text) in plain(str(v)) for one in pool.evidence for v in one.arguments.values()):
        return ""
    for known in spots:
        words = place_words(str(known.fact.value))
        if words == place.words or (place.words < words and "centre" not in place.words):
            return ""
    if any(plain(place.text.split(" the ")[-1]) in plain(one.note) for one in pool.evidence if one.note):
        return ""
    told = f"; {spots[0]}" if spots else ""
    return f"'{place.text}' is not in {pool.cited}{told}"


def _moment_problem(moment: Moment, scene: Scene, pool: Pool) -> str:
    owner = nearest_before(scene.bases, moment.start) or nearest_after(scene.bases, moment.end)
    owners = owner.names if owner else scene.context
    known = [k for k in pool.texts if k.moment and (not owners or k.bases & owners or k.level != "finding")]
    if owner and not any(re.match(r"[FRIs]", name) for name in owner.names):  # a rule, a change, a week
        known = [k for k in known if k.bases & owner.names] or known
    part = nearest_before(scene.parts, moment.start)
    known = [k for k in known if part and k.part in part.names] or known
    fitting = [k for k in known if all(_reads(k.moment, name) == value for name, value in moment.parts.items())]
    told = _edge(scene, moment)
    if any(not told or k.roles.get("edge", told) == told for k in fitting):
        return ""
    said = ", ".join(f"{k.fact.subject}.{k.fact.field} there is {k.fact.value}" for k in known[:2])
    if fitting:
        return f"'{moment.text}' is {fitting[0].fact.subject}.{fitting[0].fact.field}, not the {told}"
    if any(moment.text in one.note for one in pool.evidence):
        return ""
    return f"'{moment.text}' is not in {pool.cited}" + (f"; {said}" if said else "")


def _reads(moment: Any, name: str) -> int:
    """A field of a time; "hour12" is the hour as a clock's face shows it."""
    return int(moment.hour % 12 if name == "hour12" else getattr(moment, name))


def _edge(scene: Scene, moment: Moment) -> str:
    """ "start" or "end", as the words before a time say."""
    ahead = scene.text[: moment.start]
    if re.search(
        r"\b(?:from|between|start(?:s|ed|ing)?(?: (?:at|on))?|beg[ai]n(?:s|ning)?(?: (?:at|on))?|since)\s*$",
        ahead,
        re.I,
    ):
        return "start"
    if re.search(r"\b(?:to|until|till|through|end(?:s|ed|ing)?(?: (?:at|on))?)\s*$|[–—]\s?$", ahead, re.I):
        return "end"
    return ""


def _dimensions(scene: Scene, pool: Pool) -> Iterable[str]:
    """ "90 by 60 pixels": width, then height, of one thing."""
    sizes = {(k.bases, k.part): k.number for k in pool.numbers if k.fact.field == "width"}
    heights = {(k.bases, k.part): k.number for k in pool.numbers if k.fact.field == "height"}
    for one, two in pairwise(scene.numbers):
        if not re.fullmatch(r"\s?(?:px |pixels )?(?:x|×|by)\s?", scene.text[one.end : two.start]) or not sizes:
            continue
        if one.unit not in ("", "px") or two.unit not in ("", "px"):
            continue
        if not any(one.agrees(width or 0.0) and two.agrees(heights.get(key) or 0.0) for key, width in sizes.items()):
            yield f"'{scene.text[one.start : two.end]}' is not width by height of anything in {pool.cited}"


def _scattered(binder: Binder) -> list[str]:
    """Numbers of several findings in a sentence that names none: whose are they?"""
    scene = binder.scene
    if (
        any(n[0] in "Fs" for m in scene.bases for n in m.names)
        or scene.context
        or scene.parts
        or FOLLOWS.search(scene.text)
        or re.search(r"\b(?:p-values|scores|shares|values)\b[^.;]{0,30}\bfrom\b", scene.text)
    ):
        return []
    owners: frozenset[str] | None = None
    for number in scene.numbers:
        bases = frozenset(b for k in binder.facts_of(number) if k.level == "finding" for b in k.bases)
        if bases:
            owners = bases if owners is None else owners & bases
    return ["its numbers belong to several findings; name the finding"] if owners is not None and not owners else []


def _texts(scene: Scene, pool: Pool) -> Iterable[str]:
    """Values in words (country NZ instead of DE): on the right side of observed and expected."""
    for known in pool.texts:
        if known.fact.field not in ("observed", "expected"):
            continue
        value = str(known.fact.value)
        for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", scene.text):
            told = _told(scene, match.start(), match.end())
            if told and told != known.fact.field and not _also(known, told, pool):
                yield f"'{value}' is {known.fact.subject}.{known.fact.field} in {known.evidence}, not {told}"


def _told(scene: Scene, start: int, end: int) -> str:
    marks = [m for m in scene.roles if m.kind == "seen"]
    after, before = nearest_after(trailing(scene, marks), end), nearest_before(marks, start)
    if after and re.fullmatch(r"[\s\"'”`]*(?:is|was|would be|would have been)?\s*", scene.text[end : after.start]):
        return next(iter(after.names))
    if before and re.fullmatch(
        r"[\s\"'“`:=]*(?:(?:is|was|value|of|a|an|the|be|to|country|as)\s)*[\s\"'“`]*", scene.text[before.end : start]
    ):
        return next(iter(before.names))
    return ""


def _also(known: Known, told: str, pool: Pool) -> bool:
    return any(k.fact.field == told and k.fact.value == known.fact.value for k in pool.texts)


def everyone(pool: Pool) -> set[str]:
    return {base for known in pool.known for base in known.bases}


def is_id(name: str) -> bool:
    return re.fullmatch(r"[RFIE]\d+", name) is not None
