"""Rules that ignore: a kind of anomaly at a place, in a part or from a source, for a reason, until a day.

Covered findings are kept and marked, never deleted, and counted openly. A rule that has expired or was removed covers
nothing any more, at once. Knows rules and findings in SQL; not detectors, tools or pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session

from assistant.records import Rule
from assistant.store.audit import RULE_ADDED, RULE_EXPIRED, RULE_REMOVED, UNDONE, AuditLog
from assistant.store.database import StoreError
from assistant.store.queries import condition, contains, covering, in_force
from assistant.store.rows import id_number, insert_rows, now
from assistant.store.schema import AuditRow, FindingRow, IgnoredRow, RuleRow, RunRow

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}
BATCH = 5000
_DAY = r"(?:st|nd|rd|th)?"
_NAMED_DAY = re.compile(  # "31 december", "the 3rd of march", "march 3rd, 2027"
    rf"(?:the )?(?:(\d{{1,2}}){_DAY}(?: of)? ([a-z]{{3,9}})|([a-z]{{3,9}}) (\d{{1,2}}){_DAY}),?( \d{{4}})?"
)


class Rules(AuditLog):
    """The store's part for rules that ignore."""

    def add_rule(
        self, reason: str, expires: str, kind: str = "", position: str = "", part: str = "", source: str = ""
    ) -> Rule:
        """Ignore findings that match all that is given, those there are and those to come.

        Args:
            reason: why they may be ignored.
            expires: until when, see `expiry`.
            kind, position, part, source: what is ignored; at least one of them.

        Raises:
            StoreError: no reason, nothing given that could match, or no day in the future.
        """
        if not reason.strip():
            raise StoreError("A rule needs a reason, such as --reason 'lamp reflection'.")
        given = {"kind": kind, "position": position, "part": part, "source": source}
        values: dict[str, Any] = {name: text.strip() for name, text in given.items()}
        if not any(values.values()):
            raise StoreError("Say what is to be ignored: a kind, a position, a part (channel, feature) or a source.")
        values |= {"reason": reason.strip(), "expires": expiry(expires), "created": now(), "who": self.who()}
        with self.database.write() as session:
            number = session.execute(insert(RuleRow).returning(RuleRow.id), {**values, "removed": None}).scalar_one()
            row = session.get_one(RuleRow, number)
            covered = _cover(session, row)
            told = {**values, "findings": len(covered)}
            self.record(session, RULE_ADDED, f"rule {number}", reason.strip(), {}, told, covered)
            return _rule(row)

    def rules(self, all_: bool = False) -> list[Rule]:
        """Rules in force; with `all_` also those that expired or were removed."""
        query = select(RuleRow).order_by(RuleRow.id)
        with self.database.read() as session:
            return [_rule(row) for row in session.scalars(query if all_ else query.where(*in_force()))]

    def rule(self, name: str) -> Rule:
        """One rule, by "rule 2" or "2".

        Raises:
            StoreError: there is none.
        """
        with self.database.read() as session:
            return _rule(_row(session, name))

    def count_ignored(self, run: str | None = None) -> dict[str, int]:
        """How many findings each rule in force covers, by its name; of one run where it is named."""
        query = select(RuleRow.id, func.count()).join(IgnoredRow, IgnoredRow.rule_id == RuleRow.id)
        query = query.join(FindingRow, FindingRow.id == IgnoredRow.finding_id).where(*covering())
        if run is not None:
            query = query.where(FindingRow.run_id == id_number("R", run))
        with self.database.read() as session:
            rows = session.execute(query.group_by(RuleRow.id).order_by(RuleRow.id))
            return {f"rule {number}": int(count) for number, count in rows}

    def remove_rule(self, name: str, why: str = "", undoes: str | None = None) -> str:
        """Ignore no longer; the id of the new entry in the audit log.

        Raises:
            StoreError: there is no such rule, or it was removed before.
        """
        return self._switch(name, now(), why, undoes)

    def restore_rule(self, name: str, why: str = "", undoes: str | None = None) -> str:
        """Put a removed rule back; the id of the new entry in the audit log."""
        return self._switch(name, None, why, undoes)

    def _switch(self, name: str, removed: str | None, why: str, undoes: str | None) -> str:
        with self.database.write() as session:
            row = _row(session, name)
            if (row.removed is None) == (removed is None):
                raise StoreError(f"Rule {row.id} {'was removed before' if row.removed else 'was not removed'}.")
            before, row.removed = row.removed, removed
            covered = list(session.scalars(select(IgnoredRow.finding_id).where(IgnoredRow.rule_id == row.id)))
            action = UNDONE if undoes else RULE_REMOVED
            number = self.record(
                session, action, f"rule {row.id}", why, {"removed": before}, {"removed": removed}, covered,
                id_number("A", undoes) if undoes else None,
            )  # fmt: skip
            return f"A{number}"

    def cover_new(self, session: Session, findings: Sequence[int]) -> None:
        """Mark new findings that rules in force cover, in the transaction that keeps them."""
        if findings:
            for row in session.scalars(select(RuleRow).where(*in_force())).all():
                _cover(session, row, findings)

    def note_expired(self) -> list[Rule]:
        """Write into the audit log which rules have expired since it was last looked at."""
        noted = select(AuditRow.subject).where(AuditRow.action == RULE_EXPIRED)
        query = select(RuleRow).where(RuleRow.removed.is_(None), RuleRow.expires <= now())
        with self.database.read() as session:
            known = set(session.scalars(noted))
            gone = [_rule(row) for row in session.scalars(query) if f"rule {row.id}" not in known]
        if gone:
            with self.database.write() as session:
                for rule in gone:
                    told = {"expires": rule.expires, "what": rule.what}
                    self.record(session, RULE_EXPIRED, rule.id, rule.reason, told, {}, who="the calendar")
        return gone

    def ignored_by(self, session: Session, findings: Sequence[int]) -> dict[int, str]:
        """Of some findings, those that a rule in force covers, with its name."""
        found: dict[int, str] = {}
        for first in range(0, len(findings), BATCH):
            query = select(IgnoredRow.finding_id, IgnoredRow.rule_id).join(RuleRow, RuleRow.id == IgnoredRow.rule_id)
            query = query.join(FindingRow, FindingRow.id == IgnoredRow.finding_id)
            query = query.where(IgnoredRow.finding_id.in_(findings[first : first + BATCH]), *covering())
            found |= {n: f"rule {rule}" for n, rule in session.execute(query.order_by(IgnoredRow.rule_id.desc()))}
        return found


def expiry(text: str, today: datetime | None = None) -> str:
    """A day (its end counts), "friday", "3 weeks", "tomorrow" or an ISO time as an ISO time, UTC.

    Raises:
        StoreError: not understood, or past.
    """
    moment = today or datetime.now(UTC)
    found = _moment(" ".join(text.casefold().split()).removeprefix("until ").removeprefix("for "), moment)
    if found is None:
        raise StoreError(f"{text[:40]!r} is no day; give one such as 2026-12-31, friday, tomorrow or '3 weeks'.")
    if found <= moment:
        raise StoreError(f"{text[:40]!r} is past; a rule expires in the future.")
    return found.isoformat(timespec="seconds")


def _moment(text: str, today: datetime) -> datetime | None:
    length = re.fullmatch(r"(?:the next )?(\d{1,4}|a|one) (day|week|month|year)s?", text)
    if length:
        number = 1 if length[1] in ("a", "one") else int(length[1])
        return _end(today.date() + timedelta(days=number * UNITS[length[2]]))
    if text in ("today", "tonight", "tomorrow"):
        return _end(today.date() + timedelta(days=text == "tomorrow"))
    if (day := text.removeprefix("next ")) in DAYS:
        ahead = (DAYS.index(day) - today.weekday()) % 7 or 7
        return _end(today.date() + timedelta(days=ahead))
    if text.startswith("end of ") or text.startswith("the end of "):
        return _end_of(text.split("end of ")[1].removeprefix("the ").removeprefix("this "), today.date())
    named = _NAMED_DAY.fullmatch(text)
    if named and (month := (named[2] or named[3])[:3]) in MONTHS:
        return _named(int(named[1] or named[4]), MONTHS.index(month) + 1, named[5], today.date())
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return _end(date.fromisoformat(text))
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _end_of(span: str, today: date) -> datetime | None:
    """The last day of this week, month or year."""
    if span == "week":
        return _end(today + timedelta(days=6 - today.weekday()))
    following = {"month": (today.year + today.month // 12, today.month % 12 + 1), "year": (today.year + 1, 1)}.get(span)
    return _end(date(*following, 1) - timedelta(days=1)) if following else None


def _named(day: int, month: int, year: str | None, today: date) -> datetime | None:
    """A day by its month's name; the next one of that name where no year is given."""
    try:
        found = date(int(year or today.year), month, day)
    except ValueError:
        return None
    return _end(found if year or found >= today else found.replace(year=today.year + 1))


def _end(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)


def _cover(session: Session, row: Any, among: Iterable[int] | None = None) -> list[int]:
    """Mark the findings that a rule covers; their numbers."""
    query = select(FindingRow.id).where(FindingRow.id.not_in(select(IgnoredRow.finding_id).where(
        IgnoredRow.rule_id == row.id)))  # fmt: skip
    if row.kind:
        query = query.where(FindingRow.kind == row.kind)
    for name in ("position", "part"):
        if getattr(row, name):
            query = query.where(condition(name, getattr(row, name)))
    if row.source:
        query = query.join(RunRow, RunRow.id == FindingRow.run_id)
        query = query.where(or_(contains(RunRow.source, row.source), contains(FindingRow.sample, row.source)))
    found = list(session.scalars(query))
    wanted = found if among is None else sorted(set(among) & set(found))
    insert_rows(session, IgnoredRow, [{"finding_id": number, "rule_id": row.id} for number in wanted])
    return wanted


def _row(session: Session, name: str) -> Any:
    found = re.fullmatch(r"(?:rule )?#?(\d{1,9})", str(name).strip().casefold())
    row = session.get(RuleRow, int(found[1])) if found else None
    if row is None:
        known = ", ".join(f"rule {number}" for number in session.scalars(select(RuleRow.id).order_by(RuleRow.id)))
        raise StoreError(f"There is no rule {str(name)[:40]!r}; this store has {known or 'none'}.")
    return row


def _rule(row: Any) -> Rule:
    named = ("kind", "position", "part", "source", "reason", "expires", "created", "who", "removed")
    return Rule(id=f"rule {row.id}", **{key: getattr(row, key) for key in named})
