"""Keeps runs, findings, evidence, conversations, labels and incidents; maps and pictures lie in folders beside it.

Knows ids, records and SQL; not detectors, tools or language models. Ids go in and out as strings: R1, F12, E7, I1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.orm import Session

from assistant.database import Database, StoreError, database_url, make_folder
from assistant.evidence import Evidence, ToolResult, subjects_of
from assistant.queries import condition, contains, likeness, ordering, telling_piece
from assistant.records import LABELS, Exchange, Finding, Incident, Label, NewFinding, Run, Sample, Thread
from assistant.rows import (
    KINDS,
    evidence_record,
    finding_record,
    id_number,
    incident_record,
    insert_findings,
    now,
    run_record,
    sample_record,
    sample_values,
)
from assistant.schema import (
    AnswerRow,
    EvidenceRow,
    FindingRow,
    IncidentRow,
    LabelRow,
    RunRow,
    SampleRow,
    SignatureRow,
    TagRow,
)

__all__ = ["Store", "StoreError"]

CANDIDATES = 5000  # sample names looked at when a name is not exact


class Store:
    """The one place where things are kept. Every method is one transaction."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.root = root

    @classmethod
    def open(cls, where: str | Path, root: Path | None = None, create: bool = True) -> Store:
        """Open a folder, a .db file or a SQLAlchemy URL, and bring its schema up to date.

        Args:
            where: `./anomaly-store`, `sqlite:///x.db`, `postgresql+psycopg://...`.
            root: the folder for maps and pictures; beside the SQLite file unless given.
            create: whether a store that is not there is made.

        Raises:
            StoreError: no such store, locked, read-only, newer schema, or not a store.
        """
        database = Database(database_url(str(where)))
        file = Path(database.url.database or "store.db").absolute() if database.is_sqlite else None
        root = (root or (file.parent if file else Path("anomaly-store"))).absolute()
        if file is not None and not file.exists() and not create:
            raise StoreError(f"There is no store at {where}; `anomaly detect` makes one, `anomaly demo` has its own.")
        make_folder(root)
        if file is not None:
            make_folder(file.parent)
        database.migrate()
        return cls(database, root)

    def close(self) -> None:
        """Let go of the database."""
        self.database.engine.dispose()

    def path(self, relative: str | Path) -> Path:
        """A path inside the store's folder.

        Raises:
            StoreError: the path leads out of the store.
        """
        path = (self.root / relative).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise StoreError(f"The path {str(relative)!r} leads out of the store.")
        return path

    def relative(self, path: Path) -> str:
        """The inverse of `path`, for pictures in evidence."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()

    def run_folder(self, run: str) -> Path:
        """Where a run keeps its scored data."""
        return self.root / "runs" / f"R{id_number('R', run)}"

    # --- runs -----------------------------------------------------------------------------------------------------

    def add_run(
        self,
        run: Run,
        samples: Sequence[Sample],
        findings: Sequence[NewFinding],
        place: Callable[[str, list[str]], None] | None = None,
    ) -> Run:
        """Keep a run with all its samples and findings, or nothing.

        Args:
            run: its id is given here.
            samples: matched to findings by index; `Sample.run` and `.finding` are ignored.
            findings: in the order in which ids are wanted.
            place: called with the new ids (run, findings) before anything counts; what it raises undoes the run.
        """
        with self.database.write() as session:
            values = {**asdict(run), "created": run.created or now(), "skipped": [list(pair) for pair in run.skipped]}
            del values["id"]
            run_id = session.execute(insert(RunRow).returning(RunRow.id), values).scalar_one()
            numbers = insert_findings(session, run_id, run, findings)
            by_index = {finding.index: number for finding, number in zip(findings, numbers, strict=True)}
            if samples:
                session.execute(insert(SampleRow), [sample_values(run_id, sample, by_index) for sample in samples])
            if place is not None:
                place(f"R{run_id}", [f"F{number}" for number in numbers])
        return self.run(f"R{run_id}")

    def runs(self) -> list[Run]:
        """All runs, the latest first."""
        with self.database.read() as session:
            return [run_record(row) for row in session.scalars(select(RunRow).order_by(RunRow.id.desc()))]

    def run(self, run: str | None = None) -> Run:
        """One run; the latest where none is named.

        Raises:
            StoreError: unknown run, or no run yet.
        """
        with self.database.read() as session:
            if run is not None:
                return run_record(self._get(session, "R", run))
            row = session.scalars(select(RunRow).order_by(RunRow.id.desc()).limit(1)).first()
            if row is None:
                raise StoreError("This store holds no run yet; `anomaly detect SOURCE --model MODEL` makes one.")
            return run_record(row)

    # --- findings -------------------------------------------------------------------------------------------------

    def findings(
        self,
        run: str | None = None,
        order: str = "p_value",
        descending: bool = False,
        limit: int | None = 100,
        offset: int = 0,
        **filters: Any,
    ) -> list[Finding]:
        """Findings, filtered and sorted in SQL. Filters: those of `count_findings`.

        Equal p-values are ordered by score, the highest first.
        """
        query = self._filtered(select(FindingRow), run, **filters)
        query = query.order_by(*ordering(order, descending)).offset(max(offset, 0))
        if limit is not None:
            query = query.limit(max(limit, 0))
        with self.database.read() as session:
            return [finding_record(row, self.root) for row in session.scalars(query)]

    def count_findings(self, run: str | None = None, **filters: Any) -> int:
        """How many findings match.

        Filters: state, part (a part that carries score), position ("upper left"), search (in sample name or note),
        min_p, max_p, max_index, min_score, since, until (ISO times), incident, sample (exact name), ids.
        """
        query = self._filtered(select(func.count()).select_from(FindingRow), run, **filters)
        with self.database.read() as session:
            return int(session.execute(query).scalar_one())

    def finding(self, finding: str) -> Finding:
        """One finding.

        Raises:
            StoreError: unknown id; the sentence names the known range.
        """
        with self.database.read() as session:
            return finding_record(self._get(session, "F", finding), self.root)

    def states(self, run: str | None = None) -> dict[str, int]:
        """How many findings are in each state."""
        query = select(FindingRow.state, func.count()).group_by(FindingRow.state)
        if run is not None:
            query = query.where(FindingRow.run_id == id_number("R", run))
        with self.database.read() as session:
            return {str(state): int(count) for state, count in session.execute(query)}

    def involved(self, kind: str = "part", run: str | None = None, limit: int = 10) -> list[tuple[str, int]]:
        """The parts (or positions) that most findings involve, with how many: what the filter of that name finds."""
        count = func.count()
        query = select(TagRow.name, count).where(TagRow.kind == kind).group_by(TagRow.name)
        if run is not None:
            query = query.where(TagRow.run_id == id_number("R", run))
        with self.database.read() as session:
            rows = session.execute(query.order_by(count.desc(), TagRow.name).limit(limit))
            return [(name, number) for name, number in rows]

    def signatures(self, modality: str, model: str) -> tuple[list[str], list[bytes]]:
        """Finding ids and signatures (float32) of all findings that one model made."""
        query = (
            select(SignatureRow.finding_id, SignatureRow.vector)
            .join(FindingRow, FindingRow.id == SignatureRow.finding_id)
            .join(RunRow, RunRow.id == FindingRow.run_id)
            .where(RunRow.modality == modality, RunRow.model == model)
            .order_by(SignatureRow.finding_id)
        )
        with self.database.read() as session:
            rows = session.execute(query).all()
        return [f"F{number}" for number, _ in rows], [vector for _, vector in rows]

    def _filtered(self, query: Select[Any], run: str | None, **filters: Any) -> Select[Any]:
        if run is not None:
            query = query.where(FindingRow.run_id == id_number("R", run))
        for name, value in filters.items():
            if value is not None:
                query = query.where(condition(name, value))
        return query

    # --- samples --------------------------------------------------------------------------------------------------

    def samples(self, run: str, flagged: bool | None = None, limit: int | None = None, offset: int = 0) -> list[Sample]:
        """Scored samples of a run, in their own order."""
        query = select(SampleRow).where(SampleRow.run_id == id_number("R", run)).order_by(SampleRow.index)
        if flagged is not None:
            query = query.where(SampleRow.flagged == flagged)
        if limit is not None:
            query = query.limit(limit)
        with self.database.read() as session:
            return [sample_record(row) for row in session.scalars(query.offset(offset))]

    def sample_scores(self, run: str, flagged: bool | None = None) -> list[tuple[float, float]]:
        """(score, p-value) of every sample of a run, in their own order."""
        query = select(SampleRow.score, SampleRow.p_value).where(SampleRow.run_id == id_number("R", run))
        if flagged is not None:
            query = query.where(SampleRow.flagged == flagged)
        with self.database.read() as session:
            return [(score, p) for score, p in session.execute(query.order_by(SampleRow.index))]

    def samples_named(self, name: str, run: str | None = None, limit: int = 10) -> list[Sample]:
        """Samples whose name is `name`, else ends like it, else holds it or its number, best first.

        "17", "part 17" and "part_017" all find "good/part_017.png".
        """
        query = select(SampleRow).order_by(SampleRow.run_id.desc(), SampleRow.index)
        if run is not None:
            query = query.where(SampleRow.run_id == id_number("R", run))
        with self.database.read() as session:
            rows = list(session.scalars(query.where(SampleRow.name == name).limit(limit)))
            if not rows:
                query = query.where(contains(SampleRow.name, telling_piece(name)))
                rows = list(session.scalars(query.limit(CANDIDATES)))
        ranked = sorted((rank, place, row) for place, row in enumerate(rows) if (rank := likeness(name, row.name)) < 4)
        best = ranked[0][0] if ranked else 0
        return [sample_record(row) for rank, _, row in ranked if rank == best][:limit]

    # --- evidence -------------------------------------------------------------------------------------------------

    def add_evidence(
        self, tool: str, arguments: dict[str, Any], result: ToolResult, thread: str | None = None
    ) -> Evidence:
        """Keep a tool result; from now on it can be cited."""
        subjects = list(result.subjects) or subjects_of(result.facts)
        values = {
            "tool": tool,
            "arguments": arguments,
            "status": result.status,
            "facts": [[f.subject, f.field, f.value, f.unit] for f in result.facts],
            "subjects": subjects,
            "pictures": list(result.pictures),
            "note": result.note,
            "thread": thread,
            "created": now(),
        }
        with self.database.write() as session:
            return evidence_record(session.execute(insert(EvidenceRow).returning(EvidenceRow), values).scalar_one())

    def evidence(self, evidence: str) -> Evidence:
        """One tool result, with every fact at full precision."""
        with self.database.read() as session:
            return evidence_record(self._get(session, "E", evidence))

    def thread_evidence(self, thread: str) -> list[Evidence]:
        """All evidence of a thread, in order."""
        query = select(EvidenceRow).where(EvidenceRow.thread == thread).order_by(EvidenceRow.id)
        with self.database.read() as session:
            return [evidence_record(row) for row in session.scalars(query)]

    # --- feedback -------------------------------------------------------------------------------------------------

    def label(self, finding: str, label: str, note: str = "", who: str = "user") -> Finding:
        """Keep feedback on a finding; the latest word counts."""
        if label not in LABELS:
            raise StoreError(f"the label {label!r} is unknown; known: {', '.join(LABELS)}")
        state = "confirmed" if label == "anomaly" else "false alarm"
        with self.database.write() as session:
            row = self._get(session, "F", finding)
            row.label, row.state, row.note = label, state, note or row.note
            values = {"finding_id": row.id, "label": label, "note": note, "who": who, "created": now()}
            session.execute(insert(LabelRow), values)
        return self.finding(finding)

    def labels(self, finding: str) -> list[Label]:
        """The feedback on a finding, in order."""
        query = select(LabelRow).where(LabelRow.finding_id == id_number("F", finding)).order_by(LabelRow.id)
        with self.database.read() as session:
            rows = session.scalars(query)
            return [Label(f"F{row.finding_id}", row.label, row.note, row.who, row.created) for row in rows]

    def labelled(self, model: str, label: str = "normal") -> list[Finding]:
        """Findings of a model that carry this label now; several findings of one sample count once."""
        query = (
            select(FindingRow)
            .join(RunRow, RunRow.id == FindingRow.run_id)
            .where(RunRow.model == model, FindingRow.label == label)
            .order_by(FindingRow.id)
        )
        with self.database.read() as session:
            rows = session.execute(query.add_columns(RunRow.source))
            latest = {(source, row.sample): row for row, source in rows}
            return [finding_record(row, self.root) for row in latest.values()]

    # --- incidents ------------------------------------------------------------------------------------------------

    def add_incident(self, title: str, findings: Sequence[str], note: str = "") -> Incident:
        """Put findings together; a finding moves from its former incident."""
        if not findings:
            raise StoreError("an incident needs at least one finding")
        with self.database.write() as session:
            wanted = {id_number("F", finding) for finding in findings}
            found = set(session.scalars(select(FindingRow.id).where(FindingRow.id.in_(wanted))))
            for missing in sorted(wanted - found):
                self._get(session, "F", f"F{missing}")
            values = {"title": title, "note": note, "created": now()}
            number = session.execute(insert(IncidentRow).returning(IncidentRow.id), values).scalar_one()
            members = update(FindingRow).where(FindingRow.id.in_(wanted))
            session.execute(members.where(FindingRow.state == "new").values(state="in incident"))
            session.execute(members.values(incident_id=number))
        return self.incident(f"I{number}")

    def incident(self, incident: str) -> Incident:
        """One incident with its findings, in their order of detection."""
        with self.database.read() as session:
            return incident_record(session, self._get(session, "I", incident))

    def incidents(self) -> list[Incident]:
        """All incidents, the latest first."""
        with self.database.read() as session:
            rows = session.scalars(select(IncidentRow).order_by(IncidentRow.id.desc())).all()
            return [incident_record(session, row) for row in rows]

    # --- conversations --------------------------------------------------------------------------------------------

    def add_answer(self, thread: str, question: str, answer: dict[str, Any]) -> None:
        """Keep an answer (`Answer.to_dict()`) in its thread."""
        values = {"thread": thread, "question": question, "answer": answer, "created": now()}
        with self.database.write() as session:
            session.execute(insert(AnswerRow), values)

    def answers(self, thread: str) -> list[Exchange]:
        """Questions and answers of a thread, in order."""
        query = select(AnswerRow).where(AnswerRow.thread == thread).order_by(AnswerRow.id)
        with self.database.read() as session:
            return [Exchange(row.thread, row.question, row.answer, row.created) for row in session.scalars(query)]

    def threads(self) -> list[Thread]:
        """All conversations, the latest first."""
        first = func.min(AnswerRow.id)
        query = select(AnswerRow.thread, func.count(), func.max(AnswerRow.created), first).group_by(AnswerRow.thread)
        with self.database.read() as session:
            rows = session.execute(query.order_by(func.max(AnswerRow.id).desc())).all()
            opening = select(AnswerRow).where(AnswerRow.id.in_([row[3] for row in rows]))
            firsts = {row.id: row for row in session.scalars(opening)}
        return [
            Thread(name, firsts[start].question, count, firsts[start].created, updated)
            for name, count, updated, start in rows
        ]

    # --- shared ---------------------------------------------------------------------------------------------------

    def _get(self, session: Session, letter: str, name: str) -> Any:
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
