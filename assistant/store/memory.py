"""What was found out and said: evidence and conversations, kept in the store's database.

Knows evidence, answers and threads; not findings, detectors or language models.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, select

from assistant.evidence import Evidence, ToolResult, subjects_of
from assistant.records import Exchange, Thread
from assistant.store.database import Database
from assistant.store.rows import evidence_record, get_row, now
from assistant.store.schema import AnswerRow, EvidenceRow


class Memory:
    """The store's part for evidence and conversations."""

    database: Database

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
            return evidence_record(get_row(session, "E", evidence))

    def thread_evidence(self, thread: str) -> list[Evidence]:
        """All evidence of a thread, in order."""
        query = select(EvidenceRow).where(EvidenceRow.thread == thread).order_by(EvidenceRow.id)
        with self.database.read() as session:
            return [evidence_record(row) for row in session.scalars(query)]

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

    def remove_answer(self, thread: str, question: str) -> bool:
        """Forget the last answer of a thread, where it answers this question; whether it did."""
        query = select(AnswerRow).where(AnswerRow.thread == thread).order_by(AnswerRow.id.desc()).limit(1)
        with self.database.write() as session:
            row = session.scalars(query).first()
            if row is None or row.question != question:
                return False
            session.execute(delete(AnswerRow).where(AnswerRow.id == row.id))
            return True

    def remove_thread(self, thread: str) -> None:
        """Forget the questions and answers of a thread; its evidence stays, since reports may cite it."""
        with self.database.write() as session:
            session.execute(delete(AnswerRow).where(AnswerRow.thread == thread))

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
