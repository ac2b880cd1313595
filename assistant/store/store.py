"""Keeps runs, findings, evidence, conversations, labels and incidents; maps and pictures lie in folders beside it.

Knows ids, records and SQL; not detectors, tools or language models. Ids go in and out as strings: R1, F12, E7, I1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, update

from assistant.records import Change, Finding, Incident, NewFinding, Run, Sample
from assistant.store.audit import INCIDENT_MADE, KINDS_RENAMED, UNDONE
from assistant.store.calibrations import Calibrations
from assistant.store.database import Database, StoreError, database_url, make_folder
from assistant.store.labels import Labels
from assistant.store.memory import Memory
from assistant.store.queries import SAME_NUMBERS, SAME_WORDS, condition, contains, likeness, ordering, telling_piece
from assistant.store.rows import (
    finding_record,
    get_row,
    id_number,
    incident_record,
    insert_findings,
    insert_rows,
    now,
    run_record,
    sample_record,
    sample_values,
)
from assistant.store.rules import Rules
from assistant.store.schema import (
    FindingRow,
    IncidentRow,
    RunRow,
    SampleRow,
    SignatureRow,
    TagRow,
)

__all__ = ["Store", "StoreError"]

CANDIDATES = 5000  # sample names looked at when a name is not exact
BATCH = 5000  # ids in one statement


class Store(Memory, Labels, Calibrations, Rules):
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
        named = (database.url.database or "store.db").removeprefix("file:")  # SQLite's own URIs name files so
        file = Path(named).absolute() if database.is_sqlite else None
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
            self.cover_new(session, numbers)
            by_index = {finding.index: number for finding, number in zip(findings, numbers, strict=True)}
            if samples:
                insert_rows(session, SampleRow, [sample_values(run_id, sample, by_index) for sample in samples])
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
                return run_record(get_row(session, "R", run))
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
        sort = ordering(order, descending)
        query = self._filtered(select(FindingRow.id), run, **filters).order_by(*sort).offset(max(offset, 0))
        if limit is not None:
            query = query.limit(max(limit, 0))
        wanted = query.subquery()  # ids first: a page deep inside is sorted without reading whole rows on the way
        rows = select(FindingRow).join(wanted, wanted.c.id == FindingRow.id).order_by(*sort)
        with self.database.read() as session:
            found = session.scalars(rows).all()
            ignored = self.ignored_by(session, [row.id for row in found])
            return [finding_record(row, self.root, ignored.get(row.id)) for row in found]

    def count_findings(self, run: str | None = None, **filters: Any) -> int:
        """How many findings match.

        Filters: state, not_state, kind, label, model (a folder), part (a part that carries score), position,
        search (in sample name or note), min_p, max_p, max_index, min_score, since, until (ISO times), incident,
        modality, sample (exact name), ids, ignored (whether a rule in force covers it).
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
            row = get_row(session, "F", finding)
            return finding_record(row, self.root, self.ignored_by(session, [row.id]).get(row.id))

    def states(self, run: str | None = None) -> dict[str, int]:
        """How many findings are in each state."""
        query = select(FindingRow.state, func.count()).group_by(FindingRow.state)
        if run is not None:
            query = query.where(FindingRow.run_id == id_number("R", run))
        with self.database.read() as session:
            return {str(state): int(count) for state, count in session.execute(query)}

    def modalities(self, run: str | None = None, **filters: Any) -> dict[str, int]:
        """How many findings are of each modality, the most frequent first."""
        count = func.count()
        query = select(FindingRow.modality, count).group_by(FindingRow.modality)
        query = self._filtered(query, run, **filters).order_by(count.desc(), FindingRow.modality)
        with self.database.read() as session:
            return {str(modality): int(number) for modality, number in session.execute(query)}

    def kinds(self, run: str | None = None, **filters: Any) -> dict[str, int]:
        """How many findings are of each kind, the most frequent first; those of no measured kind are left out."""
        count = func.count()
        query = select(FindingRow.kind, count).where(FindingRow.kind != "").group_by(FindingRow.kind)
        query = self._filtered(query, run, **filters).order_by(count.desc(), FindingRow.kind)
        with self.database.read() as session:
            return {str(kind): int(number) for kind, number in session.execute(query)}

    def set_kinds(self, kinds: Mapping[str, tuple[str, float]], why: str = "") -> None:
        """Give findings other kinds: finding -> (kind, confidence)."""
        rows = [
            {"id": id_number("F", name), "kind": kind, "kind_confidence": sure} for name, (kind, sure) in kinds.items()
        ]
        if rows:
            numbers = [id_number("F", name) for name in kinds]
            with self.database.write() as session:
                known = session.execute(select(FindingRow.id, FindingRow.kind).where(FindingRow.id.in_(numbers)))
                before = {f"F{number}": kind for number, kind in known}
                session.execute(update(FindingRow), rows)
                after = {name: kind for name, (kind, _) in kinds.items()}
                self.record(session, KINDS_RENAMED, f"{len(rows)} findings", why, before, after, numbers)

    def involved(
        self, kind: str = "part", run: str | None = None, limit: int = 10, **filters: Any
    ) -> list[tuple[str, int]]:
        """The parts (or positions) that most findings involve, with how many: what the filter of that name finds."""
        count = func.count()
        query = select(TagRow.name, count).where(TagRow.kind == kind).group_by(TagRow.name)
        if run is not None:
            query = query.where(TagRow.run_id == id_number("R", run))
        if filters:
            query = query.where(TagRow.finding_id.in_(self._filtered(select(FindingRow.id), None, **filters)))
        with self.database.read() as session:
            rows = session.execute(query.order_by(count.desc(), TagRow.name).limit(limit))
            return [(name, number) for name, number in rows]

    def finding_ids(self, run: str | None = None, **filters: Any) -> list[str]:
        """Ids of all findings that match, in order of detection."""
        query = self._filtered(select(FindingRow.id), run, **filters).order_by(FindingRow.id)
        with self.database.read() as session:
            return [f"F{number}" for number in session.scalars(query)]

    def flagged_rows(self, run: str) -> list[int]:
        """Positions of the findings of a run."""
        query = select(FindingRow.index).where(FindingRow.run_id == id_number("R", run)).order_by(FindingRow.index)
        with self.database.read() as session:
            return [int(index) for index in session.scalars(query)]

    def times(self, run: str | None = None, **filters: Any) -> tuple[str, str]:
        """When the first and the last of the findings happened; empty texts where there is none."""
        query = self._filtered(select(func.min(FindingRow.time), func.max(FindingRow.time)), run, **filters)
        with self.database.read() as session:
            first, last = session.execute(query).one()
        return first or "", last or ""

    def signatures(self, **filters: Any) -> list[tuple[str, str, bytes]]:
        """(finding, run, signature as float32) of all findings that match, in order of detection."""
        query = select(SignatureRow.finding_id, FindingRow.run_id, SignatureRow.vector)
        query = query.join(FindingRow, FindingRow.id == SignatureRow.finding_id).order_by(SignatureRow.finding_id)
        with self.database.read() as session:
            return [
                (f"F{f}", f"R{r}", vector) for f, r, vector in session.execute(self._filtered(query, None, **filters))
            ]

    def _filtered(self, query: Any, run: str | None, **filters: Any) -> Any:
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

    def count_samples(self, run: str, max_p: float) -> int:
        """How many samples of a run have at most this p-value."""
        query = select(func.count()).where(SampleRow.run_id == id_number("R", run), SampleRow.p_value <= max_p)
        with self.database.read() as session:
            return int(session.execute(query).scalar_one())

    def samples_named(self, name: str, run: str | None = None, limit: int = 10, loose: bool = False) -> list[Sample]:
        """Samples whose name is `name`, else is it but for case, folder and suffix, else holds its words and numbers.

        "17", "part 17" and "part_017" all find "good/part_017.png"; so does "piece 17" where `loose`: its number only.
        """
        query = select(SampleRow).order_by(SampleRow.run_id.desc(), SampleRow.index)
        if run is not None:
            query = query.where(SampleRow.run_id == id_number("R", run))
        with self.database.read() as session:
            rows = list(session.scalars(query.where(SampleRow.name == name).limit(limit)))
            if not rows:
                query = query.where(contains(SampleRow.name, telling_piece(name)))
                rows = list(session.scalars(query.limit(CANDIDATES)))
        worst = SAME_NUMBERS if loose else SAME_WORDS
        ranked = sorted((likeness(name, row.name), place, row) for place, row in enumerate(rows))
        ranked = [one for one in ranked if one[0] <= worst]
        best = ranked[0][0] if ranked else 0
        return [sample_record(row) for rank, _, row in ranked if rank == best][:limit]

    # --- incidents ------------------------------------------------------------------------------------------------

    def add_incident(self, title: str, findings: Sequence[str], note: str = "") -> Incident:
        """Put findings together; a finding moves from its former incident."""
        if not findings:
            raise StoreError("an incident needs at least one finding")
        with self.database.write() as session:
            wanted = sorted({id_number("F", finding) for finding in findings})
            values = {"title": title, "note": note, "created": now()}
            number = session.execute(insert(IncidentRow).returning(IncidentRow.id), values).scalar_one()
            before: dict[str, Any] = {}
            for first in range(0, len(wanted), BATCH):
                batch = wanted[first : first + BATCH]
                found = set(session.scalars(select(FindingRow.id).where(FindingRow.id.in_(batch))))
                for missing in sorted(set(batch) - found):
                    get_row(session, "F", f"F{missing}")
                before |= _places(session, batch)
                members = update(FindingRow).where(FindingRow.id.in_(batch))
                session.execute(members.where(FindingRow.state == "new").values(state="in incident"))
                session.execute(members.values(incident_id=number))
            after = {"title": title, "findings": len(wanted)}
            self.record(session, INCIDENT_MADE, f"I{number}", note, before, after, wanted)
        return self.incident(f"I{number}")

    def undo_incident(self, change: Change, why: str = "") -> str:
        """Put the findings of an incident back where they were before it was made; the id of the new entry.

        Raises:
            StoreError: some of them have moved on to another incident since.
        """
        number = id_number("I", change.subject)
        with self.database.write() as session:
            rows = {f"F{row.id}": row for row in session.scalars(
                select(FindingRow).where(FindingRow.incident_id == number))}  # fmt: skip
            moved = sorted(set(change.before) - set(rows))
            if moved:
                raise StoreError(f"{moved[0]} is in another incident since {change.id}; undo that first.")
            for name, (state, incident) in change.before.items():
                row = rows[name]
                row.incident_id = incident
                row.state = state if row.state == "in incident" else row.state
            undoes, about = id_number("A", change.id), [row.id for row in rows.values()]
            return f"A{self.record(session, UNDONE, change.subject, why, change.after, {}, about, undoes)}"

    def incident(self, incident: str) -> Incident:
        """One incident with its findings, in their order of detection."""
        with self.database.read() as session:
            return incident_record(session, get_row(session, "I", incident))

    def incident_titles(self, limit: int = 100) -> list[tuple[str, str]]:
        """Ids and titles of the latest incidents, without their findings."""
        query = select(IncidentRow.id, IncidentRow.title).order_by(IncidentRow.id.desc()).limit(limit)
        with self.database.read() as session:
            return [(f"I{number}", title) for number, title in session.execute(query)]

    def incidents(self) -> list[Incident]:
        """All incidents, the latest first."""
        with self.database.read() as session:
            rows = session.scalars(select(IncidentRow).order_by(IncidentRow.id.desc())).all()
            return [incident_record(session, row) for row in rows]


def _places(session: Any, findings: Sequence[int]) -> dict[str, Any]:
    """Finding -> (state, number of its incident)."""
    row = FindingRow
    found = session.execute(select(row.id, row.state, row.incident_id).where(row.id.in_(findings)))
    return {f"F{number}": [state, incident] for number, state, incident in found}
