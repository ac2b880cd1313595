"""Calibration revisions: which labelled findings count as normal for a fitted model, and the p-values that follow.

A revision is the whole set, with a hash; the model on disk is never touched. The latest that was not withdrawn is in
force. Knows numbers in SQL and the arithmetic it is handed (`Raise`); not detectors, files or pages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from sqlalchemy import Table, bindparam, func, insert, select
from sqlalchemy.orm import Session

from assistant.records import Revision
from assistant.store.audit import RECALIBRATED, UNDONE, AuditLog
from assistant.store.database import StoreError
from assistant.store.rows import get_row, id_number, now
from assistant.store.schema import Base, CalibrationRow, FindingRow, RunRow, SampleRow

# (scores, p-values of the fit, which are extrapolated) -> (p-values with the labels, which are extrapolated)
Raise = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
KEPT = ("recalibration", "relabelled", "threshold", "revision", "revision_sha256")  # what a run says of its calibration
AS_DETECTED = "as_detected"  # ... and what it said when it was made


class Calibrations(AuditLog):
    """The store's part for calibration revisions."""

    def revision(self, model: str, model_hash: str, before: str | None = None) -> Revision | None:
        """The revision in force for a fitted model (or the one that was so before another); None: its own
        calibration."""
        query = select(CalibrationRow).where(CalibrationRow.model == model, CalibrationRow.model_hash == model_hash)
        query = query.where(CalibrationRow.withdrawn.is_(None)).order_by(CalibrationRow.id.desc()).limit(1)
        if before is not None:
            query = query.where(CalibrationRow.id < id_number("C", before))
        with self.database.read() as session:
            row = session.scalars(query).first()
            return _revision(row) if row is not None else None

    def revision_named(self, name: str) -> Revision:
        """One revision, in force or not."""
        with self.database.read() as session:
            return _revision(get_row(session, "C", name))

    def runs_of(self, model: str, model_hash: str) -> list[str]:
        """The runs of a model as it was fitted, in order."""
        query = select(RunRow.id, RunRow.info).where(RunRow.model == model).order_by(RunRow.id)
        with self.database.read() as session:
            return [f"R{number}" for number, info in session.execute(query) if info.get("model_hash") == model_hash]

    def findings_scored(self, runs: Sequence[str]) -> list[tuple[str, str, float, float, float, bool, str, float]]:
        """(finding, run, score, p-value, p-value of the fit, extrapolated by the fit, state, alpha), in order."""
        row = FindingRow
        query = select(row.id, row.run_id, row.score, row.p_value, row.fitted_p, row.extrapolated,
                       row.fitted_extrapolated, row.state, row.alpha)  # fmt: skip
        query = query.where(row.run_id.in_([id_number("R", run) for run in runs])).order_by(row.id)
        with self.database.read() as session:
            return [
                (f"F{n}", f"R{r}", s, p, p if fp is None else fp, bool(e if fe is None else fe), state, alpha)
                for n, r, s, p, fp, e, fe, state, alpha in session.execute(query)
            ]

    def count_unseen(self, runs: Sequence[str]) -> int:
        """Samples at or below their run's alpha that are no finding: labels kept them out when they were scored."""
        query = select(func.count()).select_from(SampleRow).join(RunRow, RunRow.id == SampleRow.run_id)
        query = query.where(SampleRow.run_id.in_([id_number("R", run) for run in runs]))
        query = query.where(SampleRow.p_value <= RunRow.alpha, SampleRow.finding_id.is_(None))
        with self.database.read() as session:
            return int(session.execute(query).scalar_one())

    def add_revision(
        self,
        model: str,
        model_hash: str,
        findings: Sequence[str],
        scores: Sequence[float],
        raise_p: Raise,
        threshold: Callable[[float], float],
        why: str,
        told: tuple[dict[str, Any], dict[str, Any]],
        also: Callable[[], None],
    ) -> Revision:
        """Put a revision into force: p-values of the model's findings and samples, and its runs' records, or nothing.

        Args:
            findings: labelled normal; none: the fit's own calibration.
            scores: theirs, in the same order.
            raise_p: the arithmetic of the calibration.
            threshold: alpha -> the score from which it flags.
            told: (before, after) for the audit log.
            also: called at the end, for files; what it raises undoes everything.
        """
        digest = revision_hash(model_hash, findings, scores)
        values: dict[str, Any] = {
            "model": model,
            "model_hash": model_hash,
            "findings": list(findings),
            "scores": list(scores),
        }
        values |= {"sha256": digest, "created": now(), "who": self.who(), "withdrawn": None}
        runs = self.runs_of(model, model_hash)
        with self.database.write() as session:
            number = session.execute(insert(CalibrationRow).returning(CalibrationRow.id), values).scalar_one()
            name = f"C{number}"
            self._put_in_force(session, runs, raise_p, threshold, name, digest, findings, scores)
            about = [id_number("F", finding) for finding in findings]
            after = {**told[1], "revision": name, "sha256": digest}
            self.record(session, RECALIBRATED, name, why, told[0], after, about)
            also()
        return self.revision_named(name)

    def withdraw_revision(
        self,
        name: str,
        raise_p: Raise,
        threshold: Callable[[float], float],
        why: str,
        undoes: str,
        told: tuple[dict[str, Any], dict[str, Any]],
        also: Callable[[], None],
    ) -> str:
        """Take the revision in force back; the one before it (else the fit) counts again. The id of the new entry.

        Raises:
            StoreError: another revision has been put into force since.
        """
        gone = self.revision_named(name)
        current = self.revision(gone.model, gone.model_hash)
        if current is None or current.id != gone.id:
            raise StoreError(f"{name} is not in force any more; undo the recalibrations after it first.")
        runs = self.runs_of(gone.model, gone.model_hash)
        past = self.revision(gone.model, gone.model_hash, before=name)
        found = (past.id, past.sha256, past.findings, past.scores) if past else ("", "", [], [])
        with self.database.write() as session:
            get_row(session, "C", name).withdrawn = now()
            self._put_in_force(session, runs, raise_p, threshold, *found)
            about = [id_number("F", finding) for finding in gone.findings]
            number = self.record(session, UNDONE, name, why, *told, about, id_number("A", undoes))
            also()
        return f"A{number}"

    def _put_in_force(
        self,
        session: Session,
        runs: Sequence[str],
        raise_p: Raise,
        threshold: Callable[[float], float],
        name: str,
        digest: str,
        findings: Sequence[str],
        scores: Sequence[float],
    ) -> None:
        numbers = [id_number("R", run) for run in runs]
        _reprice_findings(session, numbers, raise_p)
        for number in numbers:
            row = session.get_one(RunRow, number)
            _reprice_samples(session, number, row.alpha, raise_p)
            info = dict(row.info)
            kept = info.setdefault(AS_DETECTED, {key: info[key] for key in KEPT if key in info})
            info |= {"recalibration": list(scores), "relabelled": list(findings), "threshold": threshold(row.alpha)}
            info |= {"revision": name, "revision_sha256": digest}
            if kept.get("revision", "") == name:  # as it was made
                info = {key: value for key, value in info.items() if key not in (*KEPT, AS_DETECTED)} | kept
            row.info = info


def revision_hash(model_hash: str, findings: Sequence[str], scores: Sequence[float]) -> str:
    """What a revision is known by: SHA-256 over the model's hash, the findings and their scores."""
    text = json.dumps([model_hash, list(findings), [float(score) for score in scores]])
    return hashlib.sha256(text.encode()).hexdigest()


def _reprice_findings(session: Session, runs: Sequence[int], raise_p: Raise) -> None:
    row = FindingRow
    query = select(row.id, row.score, row.p_value, row.fitted_p, row.extrapolated, row.fitted_extrapolated)
    found = session.execute(query.where(row.run_id.in_(runs))).all()
    if not found:
        return
    ids, scores, p, fitted, beyond, fitted_beyond = zip(*found, strict=True)
    own = np.array([a if b is None else b for a, b in zip(p, fitted, strict=True)], float)
    own_beyond = np.array([a if b is None else b for a, b in zip(beyond, fitted_beyond, strict=True)], bool)
    new, new_beyond = raise_p(np.array(scores, float), own, own_beyond)
    moved = new != own
    changed = [
        {
            "key": i,
            "p_value": a,
            "extrapolated": b,
            "fitted_p": c if m else None,
            "fitted_extrapolated": d if m else None,
        }
        for i, a, b, c, d, m, old in zip(
            ids, new.tolist(), new_beyond.tolist(), own.tolist(), own_beyond.tolist(), moved.tolist(), p, strict=True
        )
        if a != old
    ]
    _update(session, FindingRow, changed, id=bindparam("key"))


def _reprice_samples(session: Session, run: int, alpha: float, raise_p: Raise) -> None:
    row = SampleRow
    query = select(row.index, row.score, row.p_value, row.fitted_p).where(row.run_id == run)
    found = session.execute(query).all()
    if not found:
        return
    places, scores, p, fitted = zip(*found, strict=True)
    own = np.array([a if b is None else b for a, b in zip(p, fitted, strict=True)], float)
    new, _ = raise_p(np.array(scores, float), own, np.zeros(len(own), bool))
    changed = [
        {"place": i, "p_value": a, "fitted_p": b if a != b else None, "flagged": a <= alpha}
        for i, a, b, old in zip(places, new.tolist(), own.tolist(), p, strict=True)
        if a != old
    ]
    _update(session, SampleRow, changed, run_id=run, index=bindparam("place"))


def _update(session: Session, rows: type[Base], values: list[dict[str, Any]], **where: Any) -> None:
    """Many rows in one statement, past the ORM, which would look at each of them."""
    if values:
        table = cast(Table, rows.__table__)
        columns = {column.key: column.columns[0] for column in rows.__mapper__.column_attrs}
        given: dict[str, Any] = {name: bindparam(name) for name in values[0] if name in columns}
        statement = table.update().where(*(columns[name] == value for name, value in where.items())).values(given)
        session.connection().execute(statement, values)


def _revision(row: Any) -> Revision:
    named = ("model", "model_hash", "findings", "scores", "sha256", "created", "who", "withdrawn")
    return Revision(id=f"C{row.id}", **{key: getattr(row, key) for key in named})
