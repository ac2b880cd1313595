"""Why a finding may be believed, what is ruled out, and what to check: sentences read off evidence.

Knows the ledger's tools and kinds of anomaly as data; not forms. A reason that was not measured is not told.
"""

from __future__ import annotations

from collections.abc import Iterable

from assistant.evidence import Evidence
from assistant.kinds import UNCLEAR, load_kinds
from assistant.modalities import kind
from assistant.records import Finding
from assistant.report.facts import Ledger, Sentence, number_of, subjects, value_of

SLIGHT = 1.0  # percent of the score below which a part is named as carrying next to nothing
NAMED = 8  # parts named in one sentence


def reasons(ledger: Ledger, finding: Finding, described: Evidence) -> list[Sentence]:
    """What kind it is, how many looks agree, and where it began."""
    said = _agreement(finding, described)
    if value_of(described, finding.id, "kind") is not None:
        judged = ledger.call("kind_of_finding", finding=finding.id)
        said += _kind(finding, judged)
    if kind(finding.modality).event and finding.modality == "series":
        said += _order(finding, ledger.call("trace_event", finding=finding.id))
    return said


def _agreement(finding: Finding, described: Evidence) -> list[Sentence]:
    """How many looks (members, seeds or noise levels) would flag it alone."""
    if value_of(described, finding.id, "runs_asked") is None:
        return []
    flagging, asked, over = (
        number_of(described, finding.id, key) for key in ("runs_flagging", "runs_asked", "runs_over")
    )
    return [Sentence(f"Asked one by one, {flagging} of {asked} {over} flag it.", described.id)]


def _kind(finding: Finding, judged: Evidence) -> list[Sentence]:
    told = value_of(judged, finding.id, "kind")
    if judged.status != "ok" or told is None:
        return []
    if told == UNCLEAR:
        return [Sentence("Its kind is unclear: none of the known kinds fits well.", judged.id)]
    sure = number_of(judged, finding.id, "kind_confidence")
    return [Sentence(f"By what was measured it is of the kind {told} (confidence {sure}).", judged.id)]


def _order(finding: Finding, traced: Evidence) -> list[Sentence]:
    """The channels in the order in which they left their course, where more than one did."""
    delays = {one: value_of(traced, one, "delay") for one in subjects(traced, finding.id, ("delay",))}
    if traced.status != "ok" or len(delays) < 2:
        return []
    together = sum(delay == 0 for delay in delays.values())
    if together == len(delays):
        return [Sentence(f"These left their course at the same stamp: {_names(delays)}.", traced.id)]
    told = [
        f"{_name(one)} (+{number_of(traced, one, 'delay')})" if delay else _name(one) for one, delay in delays.items()
    ]
    return [Sentence(f"They left their course in this order: {', '.join(told)}.", traced.id)]


# --- what is ruled out ----------------------------------------------------------------------------------------------


def ruled_out(ledger: Ledger, finding: Finding, source: Evidence, tested: bool) -> list[Sentence]:
    """What the measurements speak against: a moved run, other places, the repairing itself, parts without a share.

    Args:
        source: the evidence with the shares of the parts.
        tested: whether the explanation is put to the test for it.
    """
    said = _drift(ledger, finding)
    if tested:
        trial = ledger.call("test_explanation", finding=finding.id)
        said += _tested(finding, trial) if trial.status == "ok" else []
    slight = [one for one in subjects(source, finding.id, ("share",)) if _slight(source, one)]
    if slight:
        rest = f" and {len(slight) - NAMED} more" if len(slight) > NAMED else ""
        text = f"Next to nothing of the score (less than {SLIGHT:g} % each) comes from {_names(slight[:NAMED])}{rest}."
        said.append(Sentence(text, source.id))
    return said


def _drift(ledger: Ledger, finding: Finding) -> list[Sentence]:
    seen = ledger.call("overview", run=finding.run)
    drifting = value_of(seen, finding.run, "drifting")
    if drifting is None:
        return []
    if drifting:
        return [Sentence(f"Not ruled out: run {finding.run} as a whole has moved away from the normals.", seen.id)]
    return [Sentence(f"That run {finding.run} as a whole has moved: its scores show no drift.", seen.id)]


def _tested(finding: Finding, trial: Evidence) -> list[Sentence]:
    told = {
        key: number_of(trial, finding.id, key)
        for key in ("named_repaired_p_value", "rest_repaired_p_value", "random_returns", "random_places", "named_size")
    }
    said = []
    if value_of(trial, finding.id, "sufficient"):
        said.append(
            f"That more than the named places is odd: repairing only them ({told['named_size']} of it) gives a "
            f"p-value of {told['named_repaired_p_value']}."
        )
    if value_of(trial, finding.id, "necessary"):
        said.append(
            f"That another place explains it: with everything else repaired the p-value is still "
            f"{told['rest_repaired_p_value']}."
        )
    if value_of(trial, finding.id, "random_returns") == 0 and value_of(trial, finding.id, "random_places"):
        said.append(
            f"That any repair would do: {told['random_returns']} of {told['random_places']} places of equal size "
            f"elsewhere bring it back to normal."
        )
    return [Sentence(text, trial.id) for text in said]


def _slight(source: Evidence, part: str) -> bool:
    share = value_of(source, part, "share")
    return isinstance(share, int | float) and share < SLIGHT and value_of(source, part, "observed") is not None


def _names(parts: Iterable[str]) -> str:
    return ", ".join(_name(part) for part in parts)


def _name(part: str) -> str:
    return part.partition("/")[2] or part


# --- what to check --------------------------------------------------------------------------------------------------


def checks(ledger: Ledger, finding: Finding) -> list[Sentence]:
    """Questions worth asking on the spot, as the kind of anomaly lists them; none where the kind is unclear."""
    named = load_kinds(ledger.workspace.config.kinds).named(finding.kind, finding.modality)
    return [Sentence(check) for check in named.checks] if named else []
