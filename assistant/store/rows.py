"""Turns table rows into records and records into rows. Knows columns and ids; not queries or transactions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Table, func, insert, select
from sqlalchemy.orm import Session

from assistant.evidence import Evidence, Fact
from assistant.records import Finding, Incident, NewFinding, Run, Sample
from assistant.store.database import StoreError
from assistant.store.schema import (
    AuditRow,
    Base,
    CalibrationRow,
    EvidenceRow,
    FindingRow,
    IncidentRow,
    RunRow,
    SampleRow,
    SignatureRow,
    TagRow,
)

KINDS: dict[str, tuple[str, type[Base]]] = {
    "R": ("run", RunRow),
    "F": ("finding", FindingRow),
    "E": ("evidence", EvidenceRow),
    "I": ("incident", IncidentRow),
    "A": ("change", AuditRow),
    "C": ("calibration revision", CalibrationRow),
}
TAGGED_PARTS = 8  # a finding can be found by its most guilty parts
TAGGED_SHARE = 0.05  # ... that carry at least this share of its score


def now() -> str:
    """The time, ISO, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def id_number(letter: str, name: str) -> int:
    """The row of an id: ("F", "F12") → 12.

    Raises:
        StoreError: not an id of that kind.
    """
    found = re.fullmatch(rf"{letter}?(\d{{1,15}})", str(name).strip(), re.IGNORECASE)
    if found is None:
        kind = KINDS[letter][0]
        raise StoreError(f"{str(name)[:60]!r} is not a {kind} id; {kind} ids look like {letter}1, {letter}2, ...")
    return int(found[1])


def get_row(session: Session, letter: str, name: str) -> Any:
    """The row of an id.

    Raises:
        StoreError: there is none; the sentence names the known range.
    """
    kind, table = KINDS[letter]
    row = session.get(table, id_number(letter, name))
    if row is not None:
        return row
    low, high = session.execute(select(func.min(table.id), func.max(table.id))).one()  # type: ignore[attr-defined]
    known = f"{letter}{low} to {letter}{high}" if low != high else f"only {letter}{low}"
    raise StoreError(
        f"There is no {kind} {letter}{id_number(letter, name)}; this store holds "
        f"{known if low is not None else f'no {kind} yet'}."
    )


def run_record(row: RunRow) -> Run:
    """A run."""
    values = {column.key: getattr(row, column.key) for column in RunRow.__mapper__.column_attrs}
    return Run(**{**values, "id": f"R{row.id}", "skipped": [(file, reason) for file, reason in row.skipped]})


_FINDING_COLUMNS = [
    column.key for column in FindingRow.__mapper__.column_attrs if column.key not in {"id", "run_id", "incident_id"}
]


def finding_record(row: FindingRow, root: Path, ignored: str | None = None) -> Finding:
    """A finding with its folder under `root`."""
    return Finding(
        ignored=ignored,
        id=f"F{row.id}",
        run=f"R{row.run_id}",
        folder=root / "runs" / f"R{row.run_id}" / f"F{row.id}",
        incident=f"I{row.incident_id}" if row.incident_id else None,
        **{key: getattr(row, key) for key in _FINDING_COLUMNS},
    )


def sample_record(row: SampleRow) -> Sample:
    """A scored sample."""
    finding = f"F{row.finding_id}" if row.finding_id else None
    return Sample(f"R{row.run_id}", row.name, row.index, row.score, row.p_value, row.flagged, finding, row.fitted_p)


def evidence_record(row: EvidenceRow) -> Evidence:
    """A tool result."""
    return Evidence(
        id=f"E{row.id}",
        tool=row.tool,
        arguments=row.arguments,
        status=row.status,
        facts=[Fact(*fact) for fact in row.facts],
        subjects=row.subjects,
        pictures=row.pictures,
        note=row.note,
        thread=row.thread,
        created=row.created,
    )


def incident_record(session: Session, row: IncidentRow) -> Incident:
    """An incident with the ids of its findings."""
    ids = session.scalars(select(FindingRow.id).where(FindingRow.incident_id == row.id).order_by(FindingRow.id))
    return Incident(f"I{row.id}", row.title, [f"F{number}" for number in ids], row.note, row.created)


def insert_findings(session: Session, run_id: int, run: Run, findings: Sequence[NewFinding]) -> list[int]:
    """Keep new findings with what they can be found by; returns their numbers in order."""
    if not findings:
        return []
    created = run.created or now()
    fixed = {
        "run_id": run_id,
        "modality": run.modality,
        "alpha": run.alpha,
        "label": None,
        "note": "",
        "state": "new",
        "incident_id": None,
        "created": created,
    }
    copied = ("sample", "index", "score", "p_value", "extrapolated", "regions", "parts", "kind", "kind_confidence",
              "stability", "fitted_p", "fitted_extrapolated")  # fmt: skip
    rows = [{**fixed, **{key: getattr(f, key) for key in copied}, "time": f.time or created} for f in findings]
    statement = insert(FindingRow).returning(FindingRow.id, sort_by_parameter_order=True)
    ids = list(session.scalars(statement, rows))
    tags = [tag for number, finding in zip(ids, findings, strict=True) for tag in _tags(run_id, number, finding)]
    insert_rows(session, TagRow, tags)
    vectors = [{"finding_id": n, "vector": f.signature} for n, f in zip(ids, findings, strict=True) if f.signature]
    insert_rows(session, SignatureRow, vectors)
    return ids


def insert_rows(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Many rows in one statement, past the ORM, which would send rows with and without NULL one after the other."""
    if rows:
        columns = {column.key: column.columns[0].name for column in table.__mapper__.column_attrs}
        session.execute(
            insert(cast(Table, table.__table__)), [{columns[key]: value for key, value in row.items()} for row in rows]
        )


def _tags(run_id: int, finding_id: int, finding: NewFinding) -> Iterable[dict[str, Any]]:
    parts = [p["name"] for i, p in enumerate(finding.parts[:TAGGED_PARTS]) if i == 0 or p["share"] >= TAGGED_SHARE]
    positions = list(dict.fromkeys(r["position"] for r in finding.regions if r.get("position")))
    for kind, names in (("part", parts), ("position", positions)):
        for rank, name in enumerate(names):
            values = {"finding_id": finding_id, "run_id": run_id, "kind": kind, "rank": rank}
            yield {**values, "name": name, "key": str(name).casefold()}


def sample_values(run_id: int, sample: Sample, findings: dict[int, int]) -> dict[str, Any]:
    """A row of the samples table; `findings` maps a sample's index to its finding's number."""
    values: dict[str, Any] = {
        "run_id": run_id,
        "index": sample.index,
        "name": sample.name,
        "finding_id": findings.get(sample.index),
    }
    values |= {"score": sample.score, "p_value": sample.p_value, "fitted_p": sample.fitted_p}
    return {**values, "flagged": sample.flagged}
