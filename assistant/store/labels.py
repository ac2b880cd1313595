"""What people said about findings: labels, and taking them back.

Knows findings' labels and states; not what labels do to a calibration (see assistant/store/calibrations.py).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from assistant.records import LABELS, STATE_OF, Change, Finding, Label
from assistant.store.audit import LABELLED, UNDONE, AuditLog
from assistant.store.database import StoreError
from assistant.store.queries import condition
from assistant.store.rows import finding_record, get_row, id_number, now
from assistant.store.schema import AuditRow, FindingRow, LabelRow, RunRow


class Labels(AuditLog):
    """The store's part for labels."""

    root: Path

    def label(self, finding: str, label: str, note: str = "", who: str | None = None) -> Finding:
        """Keep feedback on a finding; the latest word counts.

        Raises:
            StoreError: unknown finding or label.
        """
        if label not in LABELS:
            raise StoreError(f"the label {label!r} is unknown; known: {', '.join(LABELS)}")
        who = who or self.who()
        with self.database.write() as session:
            row = get_row(session, "F", finding)
            before = _word(row)
            row.label, row.state, row.note = label, STATE_OF[label], note or row.note
            values = {"finding_id": row.id, "label": label, "note": note, "who": who, "created": now()}
            session.execute(insert(LabelRow), values)
            self.record(session, LABELLED, f"F{row.id}", note, before, _word(row), [row.id], who=who)
            return finding_record(row, self.root)

    def undo_label(self, change: Change, why: str = "") -> str:
        """Give a finding the word back that it had before a change; the id of the new entry.

        Raises:
            StoreError: the finding has been labelled again since.
        """
        with self.database.write() as session:
            row = get_row(session, "F", change.subject)
            now_ = _word(row)
            if now_ != change.after:
                latest = self._latest_word(session, row.id)
                raise StoreError(f"{change.subject} has been labelled again since {change.id}; undo A{latest} first.")
            row.label, row.state, row.note = (change.before[key] for key in ("label", "state", "note"))
            number = id_number("A", change.id)
            return f"A{self.record(session, UNDONE, change.subject, why, now_, _word(row), [row.id], number)}"

    def _latest_word(self, session: Session, finding: int) -> int:
        query = select(AuditRow.id).where(AuditRow.action == LABELLED, AuditRow.subject == f"F{finding}")
        undone = select(AuditRow.undoes).where(AuditRow.undoes.is_not(None))
        return int(session.scalars(query.where(AuditRow.id.not_in(undone)).order_by(AuditRow.id.desc())).first() or 0)

    def labels(self, finding: str) -> list[Label]:
        """The feedback on a finding, in order; also what was taken back later (see the audit log)."""
        query = select(LabelRow).where(LabelRow.finding_id == id_number("F", finding)).order_by(LabelRow.id)
        with self.database.read() as session:
            rows = session.scalars(query)
            return [Label(f"F{row.finding_id}", row.label, row.note, row.who, row.created) for row in rows]

    def labels_by_day(self, run: str | None = None) -> dict[date, dict[str, int]]:
        """How many findings carry which label ("" for none), by the day (UTC) on which they were detected."""
        day = func.substr(FindingRow.created, 1, 10)
        label = func.coalesce(FindingRow.label, "")
        query = select(day, label, func.count()).group_by(day, label).order_by(day)
        if run is not None:
            query = query.where(FindingRow.run_id == id_number("R", run))
        found: dict[date, dict[str, int]] = {}
        with self.database.read() as session:
            for text, name, count in session.execute(query):
                found.setdefault(date.fromisoformat(text), {})[str(name)] = int(count)
        return found

    def labelled(self, model: str, label: str = "normal", model_hash: str | None = None) -> list[Finding]:
        """Findings of a model (as it was fitted, where its hash is given) that carry this label now; several findings
        of one sample count once."""
        query = select(RunRow.id, RunRow.source, RunRow.info).where(RunRow.model == model)
        with self.database.read() as session:
            sources = {
                number: source
                for number, source, info in session.execute(query)
                if model_hash is None or str(info.get("model_hash")) == model_hash
            }
            found = select(FindingRow).where(FindingRow.run_id.in_(sources), condition("label", label))
            rows = session.scalars(found.order_by(FindingRow.id))
            latest = {(sources[row.run_id], row.sample): row for row in rows}
            return [finding_record(row, self.root) for row in latest.values()]


def _word(row: Any) -> dict[str, Any]:
    return {"label": row.label, "state": row.state, "note": row.note}
