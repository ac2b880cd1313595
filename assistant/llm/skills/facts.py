"""The script for questions that name what they want to know of one finding: a value and its difference from normal, a
place, a size, a time, who carries the score, a p-value; each asked fact first, then what belongs to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from assistant.evidence import Evidence, Fact
from assistant.llm.aspects import direction_claimed
from assistant.llm.desk import Desk
from assistant.llm.phrases import rounded
from assistant.llm.skills import skill
from assistant.llm.skills.runs import say_where
from assistant.llm.view import Piece, View, number

MOST_AT_ONCE = 3
ENOUGH = 4  # sentences after which nothing is added that was not asked for
_YES_OR_NO = re.compile(
    r"^(?:(?:so|and|but|then|ok|hm|ah|oh)\W+)*(?:is|was|are|were|did|does|do|has|have|it|that|they|way|too|still|right|"
    r"correct)\b"
)
_FACTOR = Decimal("1.5")  # from which two values are better told as "so many times" than in percent


@skill("facts")
def facts(desk: Desk) -> None:
    """What is asked of one finding."""
    names = desk.findings()[:MOST_AT_ONCE]
    for name, evidence in zip(names, desk.all([("explain_finding", {"finding": name}) for name in names]), strict=True):
        if evidence.status != "ok":
            desk.tell_note(evidence)
        view = View(evidence, name)
        desk.told.clear()
        for aspect in desk.asked.about or ("reading",):
            _TELLERS[aspect](desk, evidence, view)
        if _TOGETHER.search(desk.reading.plain):
            _share(desk, evidence, view)
        if len(names) == 1:
            say_context(desk, evidence, view)


def say_context(desk: Desk, evidence: Evidence, view: View) -> None:
    """What belongs to any answer about one finding and was not said yet: the place, the values, how rare it is."""
    for say in (_where, _readings, _p_value):
        if len(desk.pen.sentences) < ENOUGH and say not in desk.told:
            say(desk, evidence, view)


def _label(desk: Desk, evidence: Evidence, view: View) -> str:
    """The finding with its sample where it is named first, its bare id after that."""
    return desk.pen.finding(evidence, view.name) if not desk.pen.sentences else view.name


def _once(say: Callable[[Desk, Evidence, View], None]) -> Callable[[Desk, Evidence, View], None]:
    """A teller that speaks only once in an answer."""

    def told(desk: Desk, evidence: Evidence, view: View) -> None:
        if told not in desk.told:
            desk.told.append(told)
            say(desk, evidence, view)

    return told


# --- observed and expected ---------------------------------------------------------------------------------------


@_once
def _readings(desk: Desk, evidence: Evidence, view: View) -> None:
    """Observed against expected of the named piece, else of those that carry the score."""
    pieces = [piece for piece in _pieces(desk, view) if piece["observed"] is not None]
    for piece in pieces[:2]:
        say_reading(desk, evidence, view, piece)
    claimed = direction_claimed(desk.reading.plain)
    if claimed and pieces and _YES_OR_NO.search(desk.reading.plain) and desk.pen.sentences:
        one, two = number(pieces[0]["observed"]), number(pieces[0]["expected"])
        if one is not None and two is not None and one != two:
            first = len(desk.pen.sentences) - min(len(pieces), 2)
            right = (one > two) == (claimed > 0)
            desk.pen.sentences[first] = f"{'Yes' if right else 'No'}: {desk.pen.sentences[first]}"


def _pieces(desk: Desk, view: View) -> list[Piece]:
    """The channels, features or regions that are meant."""
    if view.parts:
        names = [piece.name for piece in view.carriers()]
        named = desk.part(view.name, required=False) if names else None
        spoken = desk.memory.part if view.part(desk.memory.part) and view.name in desk.memory.topics[-1:] else None
        both = re.search(r"\bboth\b|\beach\b|\ball\b", desk.reading.plain) or desk.reading.mentions.times
        chosen = view.part(named or (None if both else spoken))
        if chosen is not None:
            return [chosen]
    else:
        wanted = desk.region(view.name)
        chosen = next((piece for piece in view.places if piece.name == wanted), None)
        if chosen is not None:
            return [chosen]
    carriers = view.carriers()
    return [piece for piece in carriers[:2] if piece is carriers[0] or piece.share >= 5]


def say_reading(desk: Desk, evidence: Evidence, view: View, piece: Piece) -> None:
    """One sentence: what was observed, what was expected, which way and by how much it departs."""
    observed, expected = piece["observed"], piece["expected"]
    one, two = number(observed), number(expected)
    slots = {"name": _label(desk, evidence, view), "part": piece.name, "observed": observed, "expected": expected}
    if piece.kind == "region":
        kind = "place"
    else:
        kind = (
            {"motion": "motion", "appearance": "place"}.get(piece.name, "value")
            if view.modality == "video"
            else "value"
        )
    alike = observed is not None and expected is not None and observed.value == expected.value
    if alike or (one is not None and one == two):
        desk.say("reading_same", evidence, **slots)
        return
    if one is None or two is None:
        desk.say("reading_other", evidence, **slots)
        return
    way = "above" if one > two else "below"
    desk.say(f"reading_{kind}_{way}", evidence, difference=_difference(observed, expected), **slots)
    times = _times(one, two)
    if times:
        desk.say("reading_times", evidence, part=piece.name, times=times)
    elif (share := _percent(one, two)) and desk.asked.intent == "facts" and _RELATIVE.search(desk.reading.plain):
        desk.say(f"reading_percent_{way}", evidence, part=piece.name, percent=share)


_TOGETHER = re.compile(r"\b(?:together|both|combined|sum|in total|all of them|add(?:ed)? up)\b")
_RELATIVE = re.compile(r"\b(?:percent\w*|per cent|relative\w*|factor|times)\b|%")


def _difference(observed: Fact | None, expected: Fact | None) -> str:
    """The difference of two values as exact decimals, with their unit."""
    assert observed is not None
    assert expected is not None
    one, two = Decimal(str(observed.value)), Decimal(str(expected.value))
    unit = observed.unit
    return rounded(float(abs(one - two)), 3) + (f"{'' if unit == '%' else ' '}{unit}" if unit else "")


def _times(one: float, two: float) -> str:
    """ "4.75" for an observed value that is a multiple of the expected one, "" where that says little."""
    ratio = Decimal(str(one)) / Decimal(str(two)) if two else Decimal(0)
    return rounded(float(ratio), 3) if ratio >= _FACTOR else ""


def _percent(one: float, two: float) -> str:
    return rounded(abs(one - two) / abs(two) * 100, 3) if two else ""


# --- the other aspects -----------------------------------------------------------------------------------------------


@_once
def _where(desk: Desk, evidence: Evidence, view: View) -> None:
    say_where(desk, evidence, view, named=bool(desk.pen.sentences))


@_once
def _place(desk: Desk, evidence: Evidence, view: View) -> None:
    from assistant.llm.skills.explain import say_place

    say_place(desk, evidence, view)
    desk.told.append(_where)


@_once
def _size(desk: Desk, evidence: Evidence, view: View) -> None:
    if view.region is None:
        _time(desk, evidence, view)
        return
    wanted, label = desk.region(view.name), _label(desk, evidence, view)
    for place in [one for one in view.places if wanted in (None, one.name)][:2]:
        desk.say("size_place", evidence, name=label, region=place.name, **place.facts)
        width, height = number(place["width"]), number(place["height"])
        if width and height and max(width, height) >= 2 * min(width, height):
            desk.say("size_long", evidence, region=place.name)


@_once
def _time(desk: Desk, evidence: Evidence, view: View) -> None:
    place, label = view.interval, _label(desk, evidence, view)
    if place is None:
        desk.say("when_no_time", evidence, name=label)
        return
    if not desk.say("when_event", evidence, name=label, start=place["start_time"], end=place["end_time"]):
        desk.say("when_event_index", evidence, name=label, start=place["start"], end=place["end"])
    desk.say("lasts_stamps", evidence, name=view.name, length=place["length"])


@_once
def _parts(desk: Desk, evidence: Evidence, view: View) -> None:
    """Who carries the score, all that count."""
    carriers = [piece for piece in view.carriers() if piece.share >= 5] or view.carriers()[:1]
    if not carriers:
        desk.say("blame_none", evidence, name=_label(desk, evidence, view))
        return
    told = [f"{desk.pen.part(piece.name)} ({desk.pen.fact(piece['share'])})" for piece in carriers if piece["share"]]
    if told:
        key = "parts_one" if len(told) == 1 else "parts_several"
        desk.say(key, evidence, name=_label(desk, evidence, view), names=desk.pen.names(told), count=len(told))
    desk.told.append(_where)


@_once
def _regions(desk: Desk, evidence: Evidence, view: View) -> None:
    """How many places there are, and where."""
    regions = [place for place in view.places if place.kind == "region"]
    if not regions:
        _parts(desk, evidence, view)
        return
    told = [f"{one.name} in the {desk.pen.fact(one['position'])}" for one in regions[:4] if one["position"] is not None]
    key = "regions_one" if len(regions) == 1 else "regions_several"
    label = _label(desk, evidence, view)
    desk.say(key, evidence, name=label, count=view["regions"], names=desk.pen.names(told) if told else None)
    desk.told.append(_where)


@_once
def _share(desk: Desk, evidence: Evidence, view: View) -> None:
    pieces = _pieces(desk, view)
    for piece in pieces:
        desk.say("share_of", evidence, name=_label(desk, evidence, view), part=piece.name, share=piece["share"])
    if len(pieces) > 1 and _TOGETHER.search(desk.reading.plain):
        total = sum((Decimal(str(piece.share)) for piece in pieces), Decimal(0))
        desk.say("shares_together", evidence, share=f"{rounded(float(total), 3)}%")


@_once
def _p_value(desk: Desk, evidence: Evidence, view: View) -> None:
    desk.say("p_of", evidence, name=_label(desk, evidence, view), p=view["p_value"], alpha=view["alpha"])


@_once
def _p_and_limit(desk: Desk, evidence: Evidence, view: View) -> None:
    """The p-value, and by which factor it lies below alpha."""
    _p_value(desk, evidence, view)
    p, limit = number(view["p_value"]), number(view["alpha"])
    if p and limit and (ratio := round(limit / p)) >= 2 and abs(limit / p - ratio) <= 0.02 * ratio:
        desk.say("p_ratio", evidence, name=view.name, ordinal=f"{ratio}th")


@_once
def _score(desk: Desk, evidence: Evidence, view: View) -> None:
    desk.say("score_of", evidence, name=_label(desk, evidence, view), score=view["score"])


@_once
def _tail(desk: Desk, evidence: Evidence, view: View) -> None:
    _p_value(desk, evidence, view)
    beyond = view["extrapolated"]
    desk.say("sure_tail" if beyond is not None and beyond.value else "sure_no_tail", evidence)


@_once
def _sample(desk: Desk, evidence: Evidence, view: View) -> None:
    sample = view["sample"]
    name = desk.pen.name(str(sample.value), view.modality) if sample is not None else None
    desk.say("sample_of", evidence, finding=view.name, sample=name)


@_once
def _run(desk: Desk, evidence: Evidence, view: View) -> None:
    run = view["run"]
    told = desk.use("overview", run=str(run.value) if run is not None else None)
    own = {fact.field: fact for fact in told.facts if run is not None and fact.subject == run.value}
    desk.say("run_of", evidence, told, name=_label(desk, evidence, view), run=run, source=own.get("source"),
             created=own.get("created"))  # fmt: skip


@_once
def _state(desk: Desk, evidence: Evidence, view: View) -> None:
    state = str(view["state"].value) if view["state"] is not None else "new"
    key = {"confirmed": "state_confirmed", "false alarm": "state_false_alarm"}.get(state, "state_new")
    desk.say(key, evidence, name=_label(desk, evidence, view))


@_once
def _kind(desk: Desk, evidence: Evidence, view: View) -> None:
    told = view["kind"]
    if told is None:
        desk.say("kind_unknown", evidence, name=_label(desk, evidence, view))
    else:
        desk.say("kind_is", evidence, name=_label(desk, evidence, view), kind=told, confidence=view["kind_confidence"])


_TELLERS: dict[str, Callable[[Desk, Evidence, View], None]] = {
    "reading": _readings, "place": _place, "size": _size, "time": _time, "parts": _parts, "regions": _regions,
    "share": _share, "p": _p_and_limit, "alpha": _p_and_limit, "score": _score, "tail": _tail, "sample": _sample,
    "run": _run, "state": _state, "kind": _kind,
}  # fmt: skip
