"""Gathers what a report says: every figure comes from evidence, made by the same tools that answer questions.

Knows records and what is said of one finding (report_items); not files, templates or forms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from assistant import summaries
from assistant.evidence import Evidence, format_number
from assistant.pipeline import Workspace
from assistant.records import Run
from assistant.report.facts import Ledger, Sentence, number_of
from assistant.report.items import Item, detailed_item, listed_item
from assistant.words import number, title, when
from detectors.errors import AnomalyError

DETAILED = 20  # findings with pictures and tables
TESTED = 3  # of these, whose explanation is put to the test: it takes seconds each
LISTED = 200  # findings in the list
TOLD = (
    "n_fit", "n_calibration", "contamination", "seed", "settings", "members", "channels", "features", "size",
    "window", "threshold", "relabelled", "revision", "revision_sha256", "notes", "fit_seconds", "device", "versions",
    "data_hash", "model_hash", "data_digest",
)  # fmt: skip


@dataclass
class Content:
    """All of a report, before it takes a form."""

    subject: str  # what `gather` was asked for: "incident I1", "findings F1 F2", "run R3"
    title: str
    created: str
    version: str
    store: str
    note: str
    summary: list[Sentence]
    findings: list[Item]
    others: list[Item]
    left_out: int
    runs: list[dict[str, Any]]
    evidence: list[Evidence]


def gather(
    workspace: Workspace, incident: str | None = None, findings: Sequence[str] | None = None, run: str | None = None
) -> Content:
    """Everything a report says about an incident, findings, or (neither given) a run: by default the latest.

    Raises:
        AnomalyError: unknown ids, both given, or a store without findings.
    """
    if incident is not None and findings:
        raise AnomalyError("A report is about an incident or about findings; give one of them.")
    ledger = Ledger(workspace)
    about, heading, note, chosen, summary = subject(ledger, incident, findings, run)
    if not chosen:
        raise AnomalyError("There is no finding to report on.")
    detailed = [
        detailed_item(ledger, workspace.store.finding(name), tested=rank < TESTED)
        for rank, name in enumerate(chosen[:DETAILED])
    ]
    others = [listed_item(ledger, workspace.store.finding(name)) for name in chosen[DETAILED:LISTED]]
    runs = list(dict.fromkeys(workspace.store.finding(name).run for name in chosen))
    return Content(
        subject=about,
        title=heading,
        created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        version=version("anomaly-assistant"),
        store=str(workspace.store.root),
        note=note,
        summary=summary,
        findings=detailed,
        others=others,
        left_out=max(0, len(chosen) - LISTED),
        runs=[measured(ledger, workspace.store.run(name)) for name in runs],
        evidence=ledger.evidence,
    )


def subject(
    ledger: Ledger, incident: str | None, findings: Sequence[str] | None, run_id: str | None
) -> tuple[str, str, str, list[str], list[Sentence]]:
    """What the report is about, heading, note, finding ids and opening sentences."""
    store = ledger.workspace.store
    if incident is not None:
        kept = store.incident(incident)
        made = ledger.call("summarise_incident", incident=kept.id)
        opening = [Sentence(said, made.id) for said in (incident_sentence(made, kept.id), made.note) if said]
        opening += written_summary(ledger, kept.id)
        return f"incident {kept.id}", f"Incident {kept.id}: {kept.title}", kept.note, list(kept.findings), opening
    if findings:
        found = [store.finding(name) for name in dict.fromkeys(findings)]
        heading = f"Finding {found[0].id}: {title(found[0])}" if len(found) == 1 else f"{len(found)} findings"
        names = [finding.id for finding in found]
        return f"findings {' '.join(names)}", heading, "", names, []
    run = store.run(run_id)
    seen = ledger.call("overview", run=run.id)
    said = f"{number_of(seen, run.id, 'findings')} of {number_of(seen, run.id, 'samples')} samples were flagged."
    return (
        f"run {run.id}",
        f"Run {run.id}: {run.source}",
        "",
        [f.id for f in store.findings(run.id, limit=None)],
        [Sentence(said, seen.id)],
    )


def written_summary(ledger: Ledger, incident: str) -> list[Sentence]:
    """What the assistant or a person wrote about an incident; the evidence it cites becomes part of the report."""
    store = ledger.workspace.store
    said = [Sentence(text, name) for text, name in summaries.opening(store, incident)]
    cited = dict.fromkeys(sentence.evidence for sentence in said if sentence.evidence)
    ledger.evidence += [store.evidence(name) for name in cited]
    return said


def incident_sentence(made: Evidence, incident: str) -> str:
    """How many findings, from when to when, and the worst of them."""
    told = {key: number_of(made, incident, key) for key in ("findings", "first_time", "last_time", "most_anomalous")}
    text = f"{told['findings']} findings from {told['first_time']} to {told['last_time']}; the most anomalous is "
    return text + f"{told['most_anomalous']}, with a p-value of {number_of(made, incident, 'lowest_p_value')}."


# --- how it was measured ------------------------------------------------------------------------------------------


def measured(ledger: Ledger, run: Run) -> dict[str, Any]:
    """How a run came about: data, detector, fit, calibration, versions, seeds, hashes."""
    seen = ledger.call("overview", run=run.id)
    lines = [("source", run.source), ("kind", run.modality), ("method", run.method), ("model", run.model)]
    lines += [
        ("alpha", format_number(run.alpha)),
        ("false discovery rate", number(run.fdr) if run.fdr else "not controlled"),
    ]
    lines += [("scored", str(run.n_samples)), ("findings", str(run.n_flagged)), ("detected", when(run.created))]
    lines += [
        (key.replace("_", " "), flat(run.info[key])) for key in TOLD if run.info.get(key) not in (None, "", [], {})
    ]
    return {"title": f"Run {run.id}", "evidence": seen.id, "lines": lines, "skipped": run.skipped[:50]}


def flat(value: Any) -> str:
    """A setting in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {told}" for key, item in value.items() if (told := flat(item)))
    if isinstance(value, list | tuple):
        return ", ".join(flat(item) for item in value[:40]) + (
            f" and {len(value) - 40} more" if len(value) > 40 else ""
        )
    return "" if value is None else number(value)
