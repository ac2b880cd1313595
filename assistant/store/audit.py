"""The audit log: every change of the store with who, when, why, before and after. Entries are added, never altered.

Knows entries and who acts; not findings' meaning, tools or pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert, or_, select
from sqlalchemy.orm import Session, aliased

from assistant.acting import acting, actor, os_user, short_session
from assistant.records import Change
from assistant.store.database import Database, StoreError
from assistant.store.rows import get_row, id_number, insert_rows, now
from assistant.store.schema import AuditFindingRow, AuditRow

__all__ = ["AuditLog", "acting", "short_session"]

LABELLED, UNDONE = "labelled", "undone"
RECALIBRATED, REFITTED = "recalibrated", "refitted"
INCIDENT_MADE, INCIDENT_EDITED = "incident made", "incident edited"
RULE_ADDED, RULE_REMOVED, RULE_EXPIRED = "rule added", "rule removed", "rule expired"
KIND_ADDED, KINDS_RENAMED = "kind added", "kinds renamed"
CAN_BE_UNDONE = (LABELLED, RECALIBRATED, RULE_ADDED, RULE_REMOVED, INCIDENT_MADE)
LONGEST_NAME = 64


class AuditLog:
    """The store's part for the audit log."""

    database: Database
    user: str = ""  # the setting `user`

    def who(self) -> str:
        """Whoever acts now: named by `acting`, else the setting, else this machine's user."""
        return (actor().who or self.user or os_user())[:LONGEST_NAME]

    def record(
        self,
        session: Session,
        action: str,
        subject: str,
        why: str = "",
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        findings: Iterable[int] = (),
        undoes: int | None = None,
        who: str | None = None,
    ) -> int:
        """Add an entry inside a transaction; `findings`: numbers of those that it is about."""
        acts = actor()
        values: dict[str, Any] = {"created": now(), "who": who or self.who(), "via": acts.via, "session": acts.session}
        values |= {"action": action, "subject": subject[:LONGEST_NAME], "why": why, "undoes": undoes}
        values |= {"before": before or {}, "after": after or {}}
        number = session.execute(insert(AuditRow).returning(AuditRow.id), values).scalar_one()
        insert_rows(session, AuditFindingRow, [{"audit_id": number, "finding_id": one} for one in set(findings)])
        return int(number)

    def note_change(self, action: str, subject: str, why: str = "", **more: Any) -> str:
        """Add an entry for a change that was made outside the database; `more` as in `record`."""
        with self.database.write() as session:
            return f"A{self.record(session, action, subject, why, **more)}"

    def change(self, name: str) -> Change:
        """One entry.

        Raises:
            StoreError: unknown id; the sentence names the known range.
        """
        with self.database.read() as session:
            row = get_row(session, "A", name)
            return _change(row, session.scalars(select(AuditRow.id).where(AuditRow.undoes == row.id)).first())

    def changes(
        self, finding: str | None = None, limit: int | None = 100, open_only: bool = False, **equal: str | None
    ) -> list[Change]:
        """Entries, the latest first.

        Args:
            finding: only those that are about this finding; recalibrations are, where they took its label in.
            open_only: only those that can be undone and were not.
            equal: columns with their values, such as action, who, session; None leaves a column free.
        """
        undo = aliased(AuditRow)
        query = select(AuditRow, undo.id).outerjoin(undo, undo.undoes == AuditRow.id).order_by(AuditRow.id.desc())
        if finding is not None:
            about = select(AuditFindingRow.audit_id).where(AuditFindingRow.finding_id == id_number("F", finding))
            query = query.where(or_(AuditRow.id.in_(about), AuditRow.undoes.in_(about)))
        if open_only:
            query = query.where(AuditRow.action.in_(CAN_BE_UNDONE), undo.id.is_(None))
        for column, value in equal.items():
            if value is not None:
                query = query.where(getattr(AuditRow, column) == value)
        if limit is not None:
            query = query.limit(max(limit, 0))
        with self.database.read() as session:
            return [_change(row, undone) for row, undone in session.execute(query)]

    def to_undo(self, name: str | None = None, finding: str | None = None) -> Change:
        """The change that is meant by "undo": the one named, else one's own latest that can be undone.

        Raises:
            StoreError: there is none, it was undone before, or such a change cannot be undone.
        """
        if name is not None:
            return _undoable(self.change(name))
        acts = actor()
        found = self.changes(finding, 1, open_only=True, who=self.who(), session=acts.session or None)
        if found:
            return found[0]
        others = self.changes(finding, 1, open_only=True)
        if others:
            one = others[0]
            told = f"the latest change is {one.id} by {one.who} ({one.action} {one.subject})"
            raise StoreError(f"You have changed nothing here that can be undone; {told}: name it to undo it.")
        raise StoreError(f"There is nothing to undo{f' for {finding}' if finding else ''}.")


def _undoable(change: Change) -> Change:
    if change.undone:
        raise StoreError(f"{change.id} was undone before, by {change.undone}.")
    if change.action not in CAN_BE_UNDONE:
        raise StoreError(f"{change.id} ({change.action}) cannot be undone; these can: {', '.join(CAN_BE_UNDONE)}.")
    return change


def _change(row: AuditRow, undone: int | None) -> Change:
    named = ("created", "who", "via", "session", "action", "subject", "why", "before", "after")
    return Change(
        id=f"A{row.id}",
        undoes=f"A{row.undoes}" if row.undoes else None,
        undone=f"A{undone}" if undone else None,
        **{key: getattr(row, key) for key in named},
    )
