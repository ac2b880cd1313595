"""Keeps what a watch has done: findings, the cursor behind them, files dealt with and alerts, in one transaction.

Knows tables and the store's folders; not sources, detectors or webhooks. A watch is known by its source and model.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, update

from assistant.records import NewFinding, Run, Sample
from assistant.store import Store
from assistant.store.database import StoreError
from assistant.store.rows import insert_findings, insert_rows, now, sample_values
from assistant.store.schema import AlertRow, FindingRow, RunRow, SampleRow, WatchedRow, WatchRow

TRIES = 20  # times that a locked store is waited for
SKIPPED_KEPT = 500  # of a run's own list; `WatchedRow` has them all
TOLD = 50  # findings named in one alert


@dataclass(frozen=True)
class Dealt:
    """A file or a request that is done with."""

    name: str
    stamp: str
    reason: str = ""  # why it was skipped


@dataclass
class Step:
    """What one lot came to. Nothing of it counts before `Ledger.keep`."""

    run: Run | None = None  # as it is from now on; id "" = a new one; None: no samples, only a cursor or skipped files
    grows: bool = True  # whether the next lot belongs to the same run
    samples: list[Sample] = field(default_factory=list)  # new ones
    findings: list[NewFinding] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)  # staged, one a finding
    files: Callable[[Path], None] = lambda home: None  # writes what the run keeps into its folder
    cursor: dict[str, Any] | None = None  # None: as it was
    dealt: list[Dealt] = field(default_factory=list)
    request: str = ""  # key of a request, whose reply is kept
    judged: int = 0  # new samples


@dataclass(frozen=True)
class Alert:
    """One alert of the outbox."""

    id: int
    key: str
    body: dict[str, Any]
    tries: int


class Ledger:
    """One watch's account in the store."""

    def __init__(self, store: Store, source: str, model: str, alerting: bool = False) -> None:
        self.store, self.alerting = store, alerting
        with store.database.write() as session:
            row = session.scalars(select(WatchRow).where(WatchRow.source == source, WatchRow.model == model)).first()
            if row is None:
                row = WatchRow(source=source, model=model, version=0, run_id=None, cursor={}, created=now(), updated="")
                session.add(row)
                session.flush()
            self.id, self.version, self.cursor = row.id, row.version, dict(row.cursor)
            self.run: str | None = f"R{row.run_id}" if row.run_id else None
        self.source = source

    def dealt(self) -> dict[str, str]:
        """Name and stamp of everything that was dealt with."""
        query = select(WatchedRow.name, WatchedRow.stamp).where(WatchedRow.watch_id == self.id)
        with self.store.database.read() as session:
            return {str(name): str(stamp) for name, stamp in session.execute(query)}

    def reply(self, request: str) -> dict[str, Any] | None:
        """What a request of this key was answered; None: it has not come yet."""
        with self.store.database.read() as session:
            row = session.get(WatchedRow, (self.id, request))
            return dict(row.reply) if row is not None and row.reply else None

    def recent_scores(self, run: str, count: int) -> list[float]:
        """Scores of the latest samples of a run."""
        query = select(SampleRow.score).where(SampleRow.run_id == int(run[1:]))
        with self.store.database.read() as session:
            return list(session.scalars(query.order_by(SampleRow.index.desc()).limit(count)))

    # --- keeping --------------------------------------------------------------------------------------------------

    def keep(self, step: Step) -> list[str]:
        """Keep a step, or nothing of it; the new findings' ids.

        Raises:
            StoreError: another process watches the same source, or the store stays locked.
        """
        for attempt in range(TRIES):
            try:
                return self._keep(step)
            except StoreError as error:
                if "locked" not in str(error) or attempt == TRIES - 1:
                    raise
                time.sleep(0.2)
        raise AssertionError

    def _keep(self, step: Step) -> list[str]:
        store, findings = self.store, []
        run_id = int(step.run.id[1:]) if step.run and step.run.id else None
        cursor = self.cursor if step.cursor is None else step.cursor
        with store.database.write() as session:
            row = session.get(WatchRow, self.id)
            if row is None or row.version != self.version:
                raise StoreError(f"Another process watches {self.source} with the same model; stop one of the two.")
            if step.run is not None:
                run_id = _write_run(session, step.run, run_id)
                numbers = insert_findings(session, run_id, step.run, step.findings)
                store.cover_new(session, numbers)
                by_index = {f.index: number for f, number in zip(step.findings, numbers, strict=True)}
                insert_rows(session, SampleRow, [sample_values(run_id, sample, by_index) for sample in step.samples])
                findings = [f"F{number}" for number in numbers]
                row.run_id = run_id if step.grows else row.run_id
                ignored = store.ignored_by(session, numbers) if self.alerting and numbers else {}
                telling = [(f"F{n}", f) for n, f in zip(numbers, step.findings, strict=True) if n not in ignored]
                if self.alerting and telling:
                    session.add(self._alert(f"R{run_id}", telling, step.run))
            self._write_dealt(session, step, run_id, findings)
            row.cursor, row.version, row.updated = cursor, self.version + 1, now()
            session.flush()
            if step.run is not None:
                _place(store.run_folder(f"R{run_id}"), step, findings)
        self.version, self.cursor = self.version + 1, cursor
        if step.run is not None and step.grows:
            self.run = f"R{run_id}"
        return findings

    def _write_dealt(self, session: Any, step: Step, run_id: int | None, findings: list[str]) -> None:
        for one in step.dealt:
            session.merge(WatchedRow(watch_id=self.id, name=one.name[:512], stamp=one.stamp, reason=one.reason))
        if step.request:
            reply = {"run": f"R{run_id}" if run_id else None, "findings": findings, "judged": step.judged}
            session.merge(WatchedRow(watch_id=self.id, name=step.request, stamp="", reason="", reply=reply))

    # --- alerts ---------------------------------------------------------------------------------------------------

    def _alert(self, run: str, telling: list[tuple[str, NewFinding]], record: Run) -> AlertRow:
        told = [
            {"finding": name, "sample": f.sample, "p_value": f.p_value, "score": f.score, "kind": f.kind or None,
             "where": [r.get("position") or r.get("name") for r in f.regions[:3]],
             "parts": [{"name": p["name"], "share": p["share"]} for p in f.parts[:3]], "time": f.time or None}
            for name, f in telling[:TOLD]
        ]  # fmt: skip
        key = uuid.uuid4().hex
        body = {"id": key, "event": "findings", "source": self.source, "run": run, "modality": record.modality,
                "model": record.model, "alpha": record.alpha, "created": now(), "count": len(telling),
                "findings": told}  # fmt: skip
        return AlertRow(key=key, watch_id=self.id, body=body, tries=0, due=0.0, sent=None, trouble="")

    def due(self, at: float, limit: int = 16) -> list[Alert]:
        """Alerts that are to be sent by `at` (seconds since 1970), in their order."""
        query = select(AlertRow).where(AlertRow.watch_id == self.id, AlertRow.sent.is_(None), AlertRow.due <= at)
        with self.store.database.read() as session:
            rows = session.scalars(query.order_by(AlertRow.id).limit(limit))
            return [Alert(row.id, row.key, dict(row.body), row.tries) for row in rows]

    def waiting(self) -> int:
        """How many alerts have not been taken yet."""
        query = select(func.count()).where(AlertRow.watch_id == self.id, AlertRow.sent.is_(None))
        with self.store.database.read() as session:
            return int(session.execute(query).scalar_one())

    def sent(self, alert: Alert) -> None:
        """An alert was taken."""
        self._note(alert, sent=now(), tries=alert.tries + 1, trouble="")

    def failed(self, alert: Alert, due: float, trouble: str) -> None:
        """An alert was not taken; it is due again later."""
        self._note(alert, tries=alert.tries + 1, due=due, trouble=trouble)

    def _note(self, alert: Alert, **values: Any) -> None:
        with self.store.database.write() as session:
            session.execute(update(AlertRow).where(AlertRow.id == alert.id).values(**values))


def _write_run(session: Any, run: Run, run_id: int | None) -> int:
    values: dict[str, Any] = {**asdict(run), "created": run.created or now()}
    values["skipped"] = [list(pair) for pair in run.skipped[-SKIPPED_KEPT:]]
    del values["id"]
    if run_id is None:
        return int(session.execute(insert(RunRow).returning(RunRow.id), values).scalar_one())
    grown = {key: values[key] for key in ("n_samples", "n_flagged", "info", "skipped")}
    session.execute(update(RunRow).where(RunRow.id == run_id).values(**grown))
    return run_id


def _place(home: Path, step: Step, findings: list[str]) -> None:
    """Put the staged folders in their place; what an earlier try left under the same ids never counted."""
    home.mkdir(parents=True, exist_ok=True)
    for folder, name in zip(step.folders, findings, strict=True):
        shutil.rmtree(home / name, ignore_errors=True)
        folder.replace(home / name)
    step.files(home)


def findings_after(store: Store, number: int) -> int:
    """How many findings have come since the one of this number."""
    with store.database.read() as session:
        return int(session.execute(select(func.count()).where(FindingRow.id > number)).scalar_one())


def newest_finding(store: Store) -> int:
    """The number of the newest finding; 0 where there is none. Reads the end of an index, however many there are."""
    with store.database.read() as session:
        return int(session.execute(select(func.max(FindingRow.id))).scalar() or 0)
