"""A script that sets two runs side by side: how many findings each has, and which has more."""

from __future__ import annotations

from assistant.evidence import Evidence, Fact
from assistant.llm.desk import Desk, first_run
from assistant.llm.phrases import rounded
from assistant.llm.skills import skill
from assistant.llm.view import number


@skill("runs")
def compare_runs(desk: Desk) -> None:
    """Two runs: those that are named, else the latest and the one before it."""
    named = list(dict.fromkeys(desk.reading.mentions.runs))
    if len(named) < 2:
        latest = named[0] if named else first_run(desk.use("overview")) or "R1"
        if latest == "R1":
            desk.end("runs_only_one")
        named = [f"R{int(latest[1:]) - 1}", latest]
    results = desk.all([("overview", {"run": run}) for run in named[:2]])
    told = []
    shares: dict[str, Fact | None] = {}
    for run, evidence in zip(named, results, strict=False):
        if evidence.status != "ok":
            desk.tell_note(evidence)
        facts = _facts(evidence, run)
        told.append((number(facts.get("findings")) or 0.0, run, facts.get("findings")))
        shares[run] = facts.get("flagged_share")
        if not desk.say("run_images", evidence, run=run, **facts):
            desk.say("run_plain", evidence, run=run, **facts)
    told.sort(key=lambda row: -row[0])
    (many, one, a), (few, two, b) = told
    desk.say("runs_more" if many != few else "runs_same", *results, one=one, two=two, a=a, b=b)
    _say_shares(desk, results, shares)


def _say_shares(desk: Desk, results: list[Evidence], shares: dict[str, Fact | None]) -> None:
    """How many percentage points lie between the flagged shares of two runs."""
    high, low = sorted(shares, key=lambda run: -(number(shares[run]) or 0.0))
    more, less = number(shares[high]), number(shares[low])
    if more is not None and less is not None and more != less:
        gap = rounded(more - less, 2)
        desk.say("runs_shares", *results, one=high, two=low, a=shares[high], b=shares[low], gap=gap)


def _facts(evidence: Evidence, run: str) -> dict[str, Fact]:
    return {fact.field: fact for fact in evidence.facts if fact.subject == run}
