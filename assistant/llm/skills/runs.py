"""Scripts about runs and lists: overview, the worst one, lists with filters, who is involved most often."""

from __future__ import annotations

import re
from typing import Any

from assistant.evidence import Evidence, Fact
from assistant.kinds import load_kinds
from assistant.llm.desk import Desk, first_run, listing
from assistant.llm.dialogue import first_value
from assistant.llm.mentions import DAY, clock_of
from assistant.llm.naming import match_name, position_in
from assistant.llm.phrases import span
from assistant.llm.skills import skill
from assistant.llm.understand import fold
from assistant.llm.view import View, begins, number
from assistant.modalities import kind

_BOUND = re.compile(r"\b(?:after|since|from|before|until|till|between|later|earlier)\b")
_ORDERS = {"p_value": "the strangest first", "score": "by score", "index": "in their own order",
           "created": "by time"}  # fmt: skip


def _may_be_pictured(desk: Desk) -> bool:
    """Whether a position can be meant: what is talked about, if anything yet, has pictures."""
    return not desk.memory.modality or kind(desk.memory.modality).pictured


@skill("overview")
def overview(desk: Desk) -> None:
    """How many were flagged, which, and what is involved; a place or channel that is named makes it a list."""
    placed = position_in(desk.reading.plain) and _may_be_pictured(desk)
    if placed or _part_filter(desk):
        list_findings(desk)
        return
    run = desk.run()
    evidence, listed = desk.all([("overview", {"run": run}), ("list_findings", {"run": run, "limit": 5})])
    if evidence.status != "ok":
        desk.tell_note(evidence)
    facts = _run_facts(evidence)
    if str(first_value(evidence, "drifting")).lower() == "true":
        desk.say("run_drift", evidence, direction=str(first_value(evidence, "drift_direction")))
    if not number(facts.get("findings")):
        desk.nothing_flagged(evidence)
    _count(desk, evidence, facts)
    names = listing(listed)
    best = str(first_value(evidence, "most_anomalous") or (names[0] if names else ""))
    if best in names:
        desk.say("run_worst", listed, name=desk.pen.finding(listed, best), p=View(listed, best)["p_value"])
    rest = [desk.pen.finding(listed, name, short=True) for name in names if name != best][:4]
    if rest:
        desk.say(
            "run_more" if len(names) == number(facts.get("findings")) else "run_list",
            listed,
            names=desk.pen.names(rest),
        )
    _involved(desk, evidence, "run_part")
    _say_kinds(desk, evidence)


def _say_kinds(desk: Desk, evidence: Evidence) -> None:
    """How many findings are of each kind, where that is known."""
    rows = _kind_counts(evidence)
    if rows:
        names = [f"{name} ({fact.value})" for name, fact in rows[:5]]
        desk.say("run_kinds", evidence, names=desk.pen.names(names))


def _kind_counts(evidence: Evidence) -> list[tuple[str, Fact]]:
    found = [(fact.subject.partition("/kind ")[2], fact) for fact in evidence.facts if "/kind " in fact.subject]
    return sorted(found, key=lambda row: -int(str(row[1].value)))


def _kind_filter(desk: Desk) -> str | None:
    """A kind of anomaly that the question names and the run counts, as the data call it."""
    if desk.reading.mentions.region_places or desk.asked.intent not in ("list", "overview"):
        return None
    words = desk.reading.plain
    named = load_kinds().called(words)
    counted = _counted(desk)
    own = next((name for name in counted if re.search(rf"\b{re.escape(name)}s?\b", words)), None)
    return own or (named if named in counted else None)


def _names_a_kind(desk: Desk) -> bool:
    """Whether a kind may be meant at all; only then the run is asked which kinds it has."""
    return load_kinds().called(desk.reading.plain) is not None or "kind" in desk.reading.words


def _counted(desk: Desk) -> list[str]:
    return [name for name, _ in _kind_counts(desk.use("overview", run=desk.run()))]


def _count(desk: Desk, evidence: Evidence, facts: dict[str, Fact]) -> None:
    run = first_run(evidence)
    series = first_value(evidence, "modality") == "series"
    if series:
        desk.say(
            "run_events" if number(facts["findings"]) != 1 else "run_one", evidence, run=run, findings=facts["findings"]
        )
    elif not desk.say("run_images", evidence, run=run, **facts):
        desk.say("run_plain", evidence, run=run, **facts)


def _run_facts(evidence: Evidence) -> dict[str, Fact]:
    """The run's own facts by field; "n_..." without its letter."""
    run = first_run(evidence)
    return {fact.field: fact for fact in evidence.facts if fact.subject == run}


def _involved(desk: Desk, evidence: Evidence, key: str) -> bool:
    """Say which channel or feature is involved most often, where the run tells."""
    rows = _part_counts(evidence)
    if not rows or (number(rows[0][1]) or 0) < 2:
        return False
    return desk.say(key, evidence, part=rows[0][0], count=rows[0][1], run=first_run(evidence))


def _part_counts(evidence: Evidence) -> list[tuple[str, Fact]]:
    rows = []
    for fact in evidence.facts:
        kind, _, name = fact.subject.partition("/")[2].partition(" ")
        if kind in ("channel", "feature") and fact.field == "findings" and isinstance(fact.value, int):
            rows.append((name, fact))
    return sorted(rows, key=lambda row: -int(str(row[1].value)))


@skill("blame_run")
def blame_run(desk: Desk) -> None:
    """Which channel or feature most findings involve."""
    evidence = desk.use("overview", run=desk.run())
    if not number(_run_facts(evidence).get("findings")):
        desk.nothing_flagged(evidence)
    rows = _part_counts(evidence)
    if not rows:
        desk.end("blame_none", evidence, name=desk.worst())
    level = [name for name, fact in rows if fact.value == rows[0][1].value]
    if len(level) > 1:
        desk.say(
            "blame_run_even",
            evidence,
            run=first_run(evidence),
            names=desk.pen.names([desk.pen.part(name) for name in level[:4]]),
            count=rows[0][1],
        )
    elif not _involved(desk, evidence, "blame_run_first"):
        desk.say("blame_run_first", evidence, part=rows[0][0], count=rows[0][1], run=first_run(evidence))
    if len(rows) > len(level) == 1:
        desk.say(
            "blame_run_more",
            evidence,
            names=desk.pen.names([f"{desk.pen.part(name)} ({fact.value})" for name, fact in rows[1:3]]),
        )
    desk.say("blame_caution")


@skill("worst")
def worst(desk: Desk) -> None:
    """The most anomalous finding and where it lies."""
    run = desk.run()
    evidence = desk.use("overview", run=run)
    name = desk.worst()
    described = desk.use("describe_finding", finding=name)
    view = View(described, name)
    desk.say("run_worst", evidence, described, name=desk.pen.finding(described, name), p=view["p_value"])
    say_where(desk, described, view, named=True)


def say_where(desk: Desk, evidence: Evidence, view: View, named: bool = False) -> None:
    """One sentence on where a finding lies, whatever it is a finding in; `named`: its sample was named before."""
    label, first = view.name if named else desk.pen.finding(evidence, view.name), view.first
    if view.region is not None:
        place = view.region
        if not desk.say(
            "why_place", evidence, name=label, region=place.name, position=place["position"], share=place["share"]
        ):
            desk.say("why_place_only", evidence, name=label, region=place.name, share=place["share"])
    elif view.interval is not None and first is not None:
        place = view.interval
        slots = {"name": label, "part": first.name, "share": first["share"]}
        if not desk.say("why_event", evidence, span=span(place["start_time"], place["end_time"]), **slots):
            desk.say("why_event_index", evidence, span=span(place["start"], place["end"]), **slots)
    elif first is not None:
        desk.say("why_cell", evidence, name=label, part=first.name, share=first["share"])
    else:
        desk.say("why_plain", evidence, name=label)


@skill("list")
def list_findings(desk: Desk) -> None:
    """Findings, filtered and sorted as the question says."""
    if desk.reading.mentions.times or desk.reading.mentions.day:
        (_within if desk.reading.mentions.day or _BOUND.search(desk.reading.plain) else _at_time)(desk)
        return
    arguments = _filters(desk)
    among = desk.memory.shown if desk.memory.shown_last and _WHICH_FIRST.search(desk.reading.plain) else []
    if len(among) > 1 and arguments.get("limit") == 1:
        arguments["limit"] = 50
    evidence = desk.try_("list_findings", **arguments)
    names = listing(evidence)
    if len(among) > 1:
        names = [name for name in names if name in among][:1]
    if evidence.status == "error":
        desk.tell_note(evidence)
    if not names:
        if len(set(arguments) - {"run", "limit", "order", "descending"}) == 0:
            desk.nothing_flagged(evidence)
        desk.end("nothing_matches", evidence)
    if len(names) == 1 and re.search(r"\bboth\b", desk.reading.plain):
        desk.say("list_only", evidence, name=names[0])
    _head(desk, evidence, arguments, len(names))
    for name in names[:20]:
        desk.pen.item(list_line(desk, evidence, name, arguments), evidence)


def _filters(desk: Desk) -> dict[str, Any]:
    """The arguments of list_findings that the question asks for."""
    reading, words = desk.reading, desk.reading.plain
    found: dict[str, Any] = {"run": desk.run()}
    if _names_a_kind(desk) and (of := _kind_filter(desk)):
        found["kind"] = of
    if reading.mentions.count:
        found["limit"] = reading.mentions.count
    if re.search(r"\bmore\b|\bnext\b", words) and desk.memory.shown and reading.mentions.places == []:
        found["offset"] = len(desk.memory.shown)
    if (
        {"order"} & reading.concepts
        or re.search(r"\bby (?:score|time|index|date)\b", words)
        or _ONE_IN_TIME.search(words)
    ):
        found.update(_order(desk, words))
    position = position_in(words)
    if position and _may_be_pictured(desk):
        found["position"] = position
    if reading.mentions.levels and "position" not in found:
        found["max_p"] = reading.mentions.levels[0]
    found.update(_state(words))
    if "position" not in found and (part := _part_filter(desk)):
        found["part"] = part
    elif desk.memory.part and re.search(r"\b(?:that|same|this) (?:channel|sensor|feature|field|gauge|signal)\b", words):
        found["part"] = desk.memory.part
    return {key: value for key, value in found.items() if value is not None}


_WHICH_FIRST = re.compile(
    r"^(?:and |so )*which (?:one )?(?:of (?:them|those|these|the two) )?(?:came|was|is|happened|started|began)\b"
)
_ONE_IN_TIME = re.compile(  # one is asked for: "the earliest event", "which came first"
    r"\b(?:earliest|oldest|latest|newest|most recent)\b(?! (?:first|run|batch|data|to|findings|events|ones))"
    r"|\b(?:came|was|happened|started|began|is) (?:first|last|earliest|latest)\b|\b(?:first|last) of (?:the day|all)\b"
)


def _order(desk: Desk, words: str) -> dict[str, Any]:
    if re.search(r"\bscores?\b", words):
        return {"order": "score", "descending": not re.search(r"\b(?:lowest|ascending|smallest)\b", words)}
    if re.search(r"\btime|newest|latest|oldest|earliest|chronolog|date\b", words) or _ONE_IN_TIME.search(words):
        order = "index" if desk.memory.modality in ("series", "video") or not desk.memory.modality else "created"
        backwards = bool(re.search(r"\b(?:newest|latest|last|most recent)\b", words))
        return {"order": order, "descending": backwards} | ({"limit": 1} if _ONE_IN_TIME.search(words) else {})
    return {"order": "index"} if re.search(r"\b(?:index|number|own order)\b", words) else {}


def _state(words: str) -> dict[str, Any]:
    if re.search(r"\bfalse (?:alarms?|positives?)\b", words):
        return {"state": "false alarm"}
    if re.search(r"\bconfirmed\b|\btrue positives?\b", words):
        return {"state": "confirmed"}
    if re.search(
        r"\b(?:unreviewed|unlabell?ed|new|open|remaining|remains?|left to|"
        r"left open|outstanding|pending|to review|not been looked|not yet|unchecked)\b",
        words,
    ):
        return {"state": "new"}
    return {}


def _part_filter(desk: Desk) -> str | None:
    """A channel or feature that the question names, as the data spell it."""
    reading = desk.reading
    asks = bool({"channel", "blame"} & reading.concepts or reading.mentions.channels) or bool(
        re.search(
            r"\b(?:involv\w+|about|in|with|by|for|off|concern\w*|where|to do with|around|touch\w*|affect\w*|"
            r"ha[sd]|have|ones)\b",
            reading.plain,
        )
    )
    if not asks:
        return None
    run = first_run(desk.use("overview", run=desk.run()))
    names = desk.parts_of(run) if run else []
    return match_name(reading, names)


def _head(desk: Desk, evidence: Evidence, arguments: dict[str, Any], shown: int) -> None:
    order = _ORDERS[str(arguments.get("order", "p_value"))]
    words = {"kind": "whose kind is {}", "part": "involving {}", "position": "in the {}", "state": "marked as {}"}
    filters = [text.format(fold(str(arguments[key]))) for key, text in words.items() if key in arguments]
    if "max_p" in arguments:
        filters.append(f"with a p-value up to {arguments['max_p']:g}")
    total = _run_facts(evidence).get("findings")
    run = first_run(evidence)
    facts = _run_facts(evidence)
    if filters and (number(facts.get("matching")) or 0) > shown:
        desk.say("list_head_match_some", evidence, run=run, filter=", ".join(filters), order=order, **facts)
    elif filters:
        desk.say("list_head_match", evidence, filter=", ".join(filters), order=order)
    elif total is not None and number(total) != shown:
        desk.say("list_head_some", evidence, run=run, shown=shown, findings=total, order=order)
    elif not desk.say("list_head", evidence, run=run, findings=total, order=order):
        desk.say("list_head_plain", evidence, order=order)


def list_line(desk: Desk, evidence: Evidence, name: str, arguments: dict[str, Any]) -> str:
    """One line of a list: name, p-value, place or channel, state."""
    view = View(evidence, name)
    pieces = [desk.pen.finding(evidence, name)]
    key = "score" if arguments.get("order") == "score" else "p_value"
    if (fact := view[key]) is not None:
        pieces.append(desk.pen.fill_fact(key.replace("_", "-"), fact))
    position = view.region["position"] if view.region is not None else None
    if position is not None and "position" not in arguments:
        pieces.append(f"in the {position.value}")
    if (main := view["main_part"]) is not None:
        pieces.append(f"mainly {desk.pen.fact(main)}")
    if view.interval is not None and (start := view.interval["start_time"]) is not None:
        pieces.append(f"from {desk.pen.fact(start)}")
    of = view["kind"]
    if of is not None and "kind" not in arguments:
        pieces.append(desk.pen.fact(of))
    state = view["state"]
    if state is not None and state.value not in ("new", None):
        pieces.append(str(state.value))
    return ", ".join(pieces)


def _within(desk: Desk) -> None:
    """The events that begin after, before or between times of day, in their order."""
    evidence = desk.try_("list_findings", run=desk.run(), limit=50, order="index")
    clocks = sorted(clock_of(time) for time in desk.reading.mentions.times[:2])
    before = len(clocks) == 1 and re.search(r"\b(?:before|until|till|earlier)\b", desk.reading.plain)
    if desk.reading.mentions.day:
        clocks = list(DAY[desk.reading.mentions.day[0]])
    first, last = ("", clocks[0]) if before else (clocks[0], clocks[1] if len(clocks) > 1 else "24")
    names = [n for n in listing(evidence) if (begin := begins(View(evidence, n))) and first <= begin[11:16] <= last]
    if not names:
        desk.end("time_none", evidence)
    desk.say("list_head_plain", evidence, order=_ORDERS["index"])
    for name in names[:20]:
        desk.pen.item(list_line(desk, evidence, name, {"order": "index"}), evidence)


def _at_time(desk: Desk) -> None:
    """The event that covers a time of day, explained: of those that begin before it, the latest."""
    evidence = desk.try_("list_findings", run=desk.run(), limit=50, order="index")
    clock = clock_of(desk.reading.mentions.times[0])
    begun = [name for name in listing(evidence) if (start := begins(View(evidence, name))) and start[11:16] <= clock]
    if not begun:
        desk.end("time_none", evidence)
    name = max(begun, key=lambda one: begins(View(evidence, one))[11:16])
    found = desk.use("explain_finding", finding=name)
    view = View(found, name)
    end = str(view.interval["end_time"].value) if view.interval and view.interval["end_time"] else ""
    if end[:10] == begins(view)[:10] and end[11:16] < clock:
        desk.say("time_none", evidence)
        desk.say("time_before", found)
    say_where(desk, found, view)
    desk.say("p_below", found, p=view["p_value"], alpha=view["alpha"])
