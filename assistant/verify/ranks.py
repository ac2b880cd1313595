"""Checks places in an order that a sentence gives: the most anomalous, the second-largest, who deviated first or last.

Knows scenes and facts. A thing's place is read off the same fact of everything of its sort that the evidence holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from assistant.verify.binding import Binder
from assistant.verify.clauses import NOT, clause_at
from assistant.verify.mentions import Mention
from assistant.verify.qualities import BASE, SUPERLATIVE_WORDS, Quality, quality_of
from assistant.verify.reading import ORDINALS
from assistant.verify.things import Measure, Things, measures_of, size

_NTH = "|".join(ORDINALS)
_SUPERLATIVE = re.compile(rf"\b(?:(?P<nth>{_NTH})[ -])?{SUPERLATIVE_WORDS}", re.I)
_TURN = re.compile(
    rf"\b(?P<verb>comes?|came|ranks?|ranked|is|was|moved|deviated|started|reacted|began|changed|went|follows"
    rf"|gave way|gave in|reacts|moves|left its"
    rf" course|strayed|listed|placed) (?P<nth>{_NTH}|last)\b(?! \w+(?: and|,)? (?:findings?|one|regions?))"
    r"|\b(?P<lead>leads|led|tops|heads|heading|leading|topping) (?:the (?:list|field|ranking|way|run|others)"
    r"|them\b|it\b)"
    r"|\bthe (?P<nth2>first|last) (?:channel )?(?:to (?:\w+ ){0,2}(?:deviate|leave|move|react|change|go|stray"
    r"|respond)\w*)",
    re.I,
)
_MAIN = re.compile(r"\b(?:mainly|main (?:part|channel|feature|column|culprit|driver|contributor|sensor)"
    r"|guiltiest|most guilty"
                   r"|dominates?|dominated by)\b(?! (?:at|in) the)", re.I)  # fmt: skip
_IN_TIME = re.compile(r"\bthe (?:very )?(?:(?P<last>last|latest)|first|earliest)(?: (?:one|of (?:them|all)))? in time\b"
                      r"|\b(?:happened|occurred|began) (?:(?P<last2>last)|first)\b", re.I)  # fmt: skip
_SUBSET = re.compile(r"\sof (?:the |these |those )?(?:(?:two|three|four|five|six"
    r"|\d+) )?(?P<what>[\w ]{3,24}?)(?=\s(?:is|was|are|were"
                     r"|has|lies)\b|[.,;:(]|$)", re.I)  # fmt: skip
_MOVED = re.compile(
    r"moved|deviated|started|reacted|began|changed|went|course|strayed|deviate|leave|move|react|change|go|stray|respond"
    r"|led|leads",
    re.I,
)
_NO_RANK = re.compile(
    r"\b(?:one of the|among the|at|than the|any|every|of the|his|how|by|above the"
    r"|below the|exceeds the|over the|under the|beyond the)\s(?:\w+ )?$|\b(?:two|three|four|five|ten|\d+)\s$",
    re.I,
)
_NOT_OF_THINGS = re.compile(
    r"\s(?:likely|probabl[ey]|of (?:the|these|them|its) (?:time|normal|samples|rows|stamps|frames|picture|image"
    r"|run|findings|events)\b|normal(?= (?:score|median|value|p-value|level))|recent|part\b|one\b|important(?:ly)?,)",
    re.I,
)
_LINK = re.compile(
    r"(?:\W|\bF\d+\b|\b(?:is|was|are|were|lies?|shows?|involves?|concerns?|belongs? to|goes to|comes from|from"
    r"|has|occurs in|that of|the|in|on|at|for"
    r"|of|by|with|one"
    r"|finding|channel|feature|region|kind|score|share|p-value|anomaly|run|list|all|spot|part|place|its|carried|held|"
    r"two|three|four|five|findings|regions|intervals|channels|shown|listed)\b)*",
    re.I,
)
_NOUN = re.compile(r"^(?:\s(?!and|or|but|while|than|with|so|as)[a-z]+){1,2}(?=,| is| was| are| belongs|:| \()", re.I)
_FOLLOWED = re.compile(r"\b(?:closely |directly )?(?:followed by|ahead of|then comes?|next comes?)\b", re.I)
_ANOMALOUS = BASE["anomalous"]


@dataclass(frozen=True)
class _Rank:
    """One place in an order, as a sentence gives it."""

    start: int
    end: int
    text: str
    measures: list[Measure]
    up: bool
    place: int  # from 1; -1: the last
    quality: Quality
    noun: Mention | None = None
    among: frozenset[str] | None = None  # the findings among which it is ranked, where the sentence says which


def rank_problems(binder: Binder) -> Iterator[str]:
    """Places in an order that the facts do not hold."""
    things = Things(binder.scene, binder.pool)
    for rank in [*_superlatives(binder), *_turns(binder)]:
        subject = _subject(binder, rank)
        if subject is None:
            continue
        rank = replace(rank, among=_among(binder, rank))
        problem = _problem(things, rank, subject) or _told_problem(binder, rank, subject)
        if problem:
            yield f"'{rank.text}' {problem}"
        elif followed := _FOLLOWED.search(binder.scene.text, rank.end):
            after = things.after(followed.end(), followed.end() + 40)
            if after and not any(m.start >= rank.end and m.end <= followed.start() and m.names != subject.names
                                 and m.kind == subject.kind for m in things.all):  # fmt: skip
                second = _Rank(rank.start, rank.end, followed[0], rank.measures, rank.up, rank.place + 1, rank.quality)
                if told := _problem(things, second, after):
                    yield f"'{followed[0]}' {told}"


def _among(binder: Binder, rank: _Rank) -> frozenset[str] | None:
    """ "the strongest of the scratches": the findings of that kind."""
    subset = _SUBSET.match(binder.scene.text, rank.end)
    if subset is None:
        return None
    kinds = [k for k in binder.pool.texts if k.fact.field == "kind" and not k.part
             and re.search(rf"\b{re.escape(str(k.fact.value))}", subset["what"], re.I)]  # fmt: skip
    return frozenset(base for k in kinds for base in k.bases) or None


def _superlatives(binder: Binder) -> Iterator[_Rank]:
    scene = binder.scene
    for match in _SUPERLATIVE.finditer(scene.text):
        ahead = scene.text[: match.start()]
        if _NO_RANK.search(ahead) or _NOT_OF_THINGS.match(scene.text, match.end()) or NOT.search(ahead):
            continue
        if any(m.start < match.end() and match.start() < m.end for m in scene.parts):
            continue  # a description that names a thing
        quality = quality_of(match)
        noun = next((f for f in scene.fields if f.start >= match.end()
                     and re.fullmatch(r"\s(?:\w+\s)?", scene.text[match.end() : f.start])), None)  # fmt: skip
        if quality.word in ("more", "less") and noun is None:
            verb = next((f for f in scene.fields if f.kind == "verb" and f.end + 1 == match.start()), None)
            noun = verb
        place = ORDINALS[match["nth"].lower()] if match["nth"] else 1
        yield _Rank(match.start(), match.end(), match[0], measures_of(quality, noun), quality.up, place, quality, noun)


def _turns(binder: Binder) -> Iterator[_Rank]:
    for match in _MAIN.finditer(binder.scene.text):
        ahead = binder.scene.text[: match.start()]
        if not NOT.search(ahead) and not any(
            m.start < match.end() and match.start() < m.end for m in binder.scene.parts
        ):
            share = BASE["important"]
            yield _Rank(match.start(), match.end(), match[0], measures_of(share, None), True, 1, share)
    for match in _IN_TIME.finditer(binder.scene.text):
        time, last = BASE["early"], match["last"] is not None or match["last2"] is not None
        yield _Rank(match.start(), match.end(), match[0], measures_of(time, None), False, -1 if last else 1, time)
    for match in _TURN.finditer(binder.scene.text):
        if NOT.search(binder.scene.text[: match.start()]):
            continue
        word = (match["nth"] or match["nth2"] or "first").lower()
        place = -1 if word == "last" else ORDINALS[word]
        early = BASE["early"]
        delays = [measure for measure in measures_of(early, None) if measure[0] & {"onset", "delay"}]
        if any(k.fact.field in ("delay", "onset") for k in binder.pool.numbers):
            yield _Rank(match.start(), match.end(), match[0], delays, False, place, early)
        elif not _MOVED.search(match[0]) or match["lead"]:
            yield _Rank(
                match.start(), match.end(), match[0], measures_of(_ANOMALOUS, None)[:2], True, place, _ANOMALOUS
            )


def _subject(binder: Binder, rank: _Rank) -> Mention | None:
    """Whom a place in an order is given to: "The worst is F3", "F3 is the worst"."""
    scene = binder.scene
    things = sorted([*scene.parts, *scene.bases], key=lambda m: m.start)
    things = [m for m in things if not (m.names and all(re.match(r"R\d+$", n) for n in m.names))]
    start, _ = clause_at(scene.text, rank.start)
    subset = _SUBSET.match(scene.text, rank.end)
    behind = subset.end() if subset else rank.end
    if to := re.match(r"(?:\s\w+)?\s(?:to|of)\s", scene.text[rank.end :]):  # "the row nearest to F9"
        held = next((m for m in things if m.start == rank.end + to.end()), None)
        if held is not None and rank.quality.word in ("similar", "alike", "close", "near"):
            things = [m for m in things if m is not held]
            behind = held.end
    after = next((m for m in things if m.start >= behind), None)
    before = [m for m in things if m.end <= rank.start and m.start >= start]
    if rank.quality.word in ("frequent", "important", "more", "less"):
        before = [m for m in before if m.kind] or before
    copula = re.search(r"\b(?:is|was|are|were|has|have|had|holds?|carries|with|gets|shows?|matters?|counts?|comes?|came"
                       r"|moved|up|out|hit|seen|found|being|shares?"
                       r"|scores?)\b[^,;]{0,25}$", scene.text[start : rank.start])  # fmt: skip
    if after and not (before and copula) and _LINK.fullmatch(_NOUN.sub(" ", scene.text[behind : after.start])):
        return after
    if before:
        return before[-1]
    earlier = [m for m in things if m.end <= rank.start]
    return earlier[-1] if earlier and copula else None


def _problem(things: Things, rank: _Rank, subject: Mention) -> str:
    """Where a thing stands instead, "" where it stands as told or the facts do not say."""
    told = ""
    whole = any(re.fullmatch(r"F\d+", name) for name in subject.names)
    for measure in rank.measures:
        for known in things.facts(subject, measure):
            peers = {(k.bases, k.part): size(k) or 0.0 for k in things.peers(known, measure, whole)
                     if rank.among is None or k.bases & rank.among}  # fmt: skip
            if len(peers) < 2 or len(peers) < abs(rank.place):
                continue
            mine = size(known) or 0.0
            high = rank.up == measure[2]
            better = sum(1 for value in peers.values() if (value > mine) == high and value != mine)
            equal = sum(1 for value in peers.values() if value == mine)
            place = rank.place if rank.place > 0 else len(peers)
            if better < place <= better + equal:
                return ""
            told = (
                told or f"is not right: it comes {better + 1} of {len(peers)} by {known.fact.field} in {known.evidence}"
            )
        if told and rank.quality is not _ANOMALOUS:
            break
    return told


def _told_problem(binder: Binder, rank: _Rank, subject: Mention) -> str:
    """Against what a result names outright: the most anomalous finding, the main part, the first channel."""
    if rank.place != 1 or (not rank.up and rank.quality.word not in ("early", "low")):
        return ""
    whole = any(re.fullmatch(r"F\d+", name) for name in subject.names)
    spoken = " ".join(rank.noun.names).lower() if rank.noun else ""
    if whole and (rank.quality is _ANOMALOUS or spoken.startswith(("p", "score"))):
        field = "most_anomalous"
    elif not whole and rank.quality.word in ("early",):
        field = "first_channel"
    elif not whole and (rank.quality.word == "important" or spoken.startswith(("share", "carr"))):
        field = "main_part"
    else:
        return ""
    owners = {n for m in binder.scene.bases for n in m.names} | set(binder.scene.context)
    if field == "main_part":
        near = [m for m in binder.scene.bases if m.end <= rank.start] or [
            m for m in binder.scene.bases if m.start >= rank.end]  # fmt: skip
        ahead = near[-1] if near and near[-1].end <= rank.start else near[0] if near else None
        owners = set(ahead.names) if ahead else owners
    facts = [k for k in binder.pool.texts if k.fact.field == field and (field != "main_part" or k.bases & owners)]
    if not facts or any(str(k.fact.value) in subject.names for k in facts):
        return ""
    return f"is not right: {facts[0]}"
