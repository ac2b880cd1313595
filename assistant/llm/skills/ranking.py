"""Scripts that order or narrow findings by what was measured of them: the largest, the longest, those over a bound,
those that are not in the centre."""

from __future__ import annotations

from assistant.llm.desk import Desk, listing
from assistant.llm.measures import Measure, bound, fact_of, index_bound, left_out, superlative
from assistant.llm.naming import position_in, sides
from assistant.llm.skills import skill
from assistant.llm.skills.facts import say_context
from assistant.llm.skills.runs import list_line
from assistant.llm.view import View

_KEYS = {
    ("size", True): "largest", ("size", False): "smallest", ("length", True): "longest", ("length", False): "shortest",
    ("start", True): "latest", ("start", False): "earliest", ("level", True): "brightest", ("level", False): "darkest",
    ("score", True): "highest", ("score", False): "lowest", ("p_value", True): "least", ("p_value", False): "most",
}  # fmt: skip


@skill("rank")
def rank(desk: Desk) -> None:
    """The finding at one end of a measure, and the others after it."""
    measure = superlative(desk.reading.plain) or Measure("start", False)
    ranked = desk.ranked(measure)
    cited = list({one.id: one for _, one in ranked}.values())
    told = [(name, fact_of(View(one, name), measure.name), one) for name, one in ranked]
    name, fact, own = told[0]
    if fact is None:
        desk.end("rank_unknown", *cited)
    key = f"rank_{_KEYS[measure.name, measure.most]}"
    desk.say(key, *cited, name=desk.pen.finding(own, name), value=fact)
    rest = [f"{other} ({desk.pen.fact(one)})" for other, one, _ in told[1:4] if one is not None]
    if rest:
        desk.say("rank_more", *cited, names=desk.pen.names(rest))
    described = desk.use("describe_finding", finding=name)
    say_context(desk, described, View(described, name))


def _on_side(desk: Desk, view: View) -> bool:
    """Whether a finding lies on a side that the question names, such as the lower left for "at the bottom"."""
    place = view.region["position"] if view.region is not None else None
    return place is not None and any(side in str(place.value).split() for side in sides(desk.reading.plain))


@skill("narrow")
def narrow(desk: Desk) -> None:
    """The findings that meet a bound, or that a filter leaves over."""
    names, evidence = desk.among()
    limit = index_bound(desk.reading.plain) or bound(desk.reading.plain)
    views = desk.views(names, limit.measure if limit else "p_value")
    fitting = [(name, one) for name, one in views if limit is None or limit.holds(View(one, name))]
    if limit is None and (place := position_in(left_out(desk.reading.plain))):
        there = listing(desk.try_("list_findings", run=desk.run(), position=place))
        fitting = [row for row in fitting if row[0] not in there]
    elif limit is None:
        fitting = [row for row in fitting if _on_side(desk, View(row[1], row[0]))]
    if not fitting:
        desk.end("narrow_none", evidence)
    desk.say("narrow_fits", evidence, names=desk.pen.names([name for name, _ in fitting]))
    for name, one in fitting[:20]:
        fact = fact_of(View(one, name), limit.measure) if limit else None
        shown = [list_line(desk, evidence, name, {})]
        if fact is not None and limit is not None and limit.measure not in ("p_value", "index"):
            shown.append(
                desk.pen.fill_fact({"size": "area", "length": "length"}.get(limit.measure, limit.measure), fact)
            )
        desk.pen.item(", ".join(shown), evidence, one)
