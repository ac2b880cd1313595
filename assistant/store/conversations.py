"""Keeps which reader has which conversations, under what name. Knows SQLite; not answers, language models or pages.

A reader is a browser that holds an unguessable id; nobody is asked to sign in. Names and order lie beside the threads
themselves, in `threads.db`, so that they are found again after a restart and are the same in two tabs of one browser.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from detectors.errors import AnomalyError

TITLE = 60  # characters of a name
MOST = 200  # conversations listed for one reader
_TABLE = """CREATE TABLE IF NOT EXISTS conversations (
    reader TEXT NOT NULL, thread TEXT NOT NULL, title TEXT NOT NULL, updated TEXT NOT NULL,
    PRIMARY KEY (reader, thread))"""


@dataclass(frozen=True)
class Conversation:
    """One of a reader's conversations."""

    thread: str
    title: str
    updated: str  # ISO time, UTC


class Conversations:
    """The readers' conversations of one store; every method is one transaction.

    Raises:
        AnomalyError: `threads.db` cannot be opened or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        with self._open() as connection:
            connection.execute(_TABLE)

    def of(self, reader: str) -> list[Conversation]:
        """A reader's conversations, the latest first."""
        query = "SELECT thread, title, updated FROM conversations WHERE reader = ? ORDER BY updated DESC LIMIT ?"
        with self._open() as connection:
            return [Conversation(*row) for row in connection.execute(query, (reader, MOST))]

    def owns(self, reader: str, thread: str) -> bool:
        """Whether a conversation is this reader's."""
        query = "SELECT 1 FROM conversations WHERE reader = ? AND thread = ?"
        with self._open() as connection:
            return connection.execute(query, (reader, thread)).fetchone() is not None

    def touch(self, reader: str, thread: str, question: str) -> None:
        """A conversation goes on; a new one is called by its first question."""
        query = (
            "INSERT INTO conversations VALUES (?, ?, ?, ?) "
            "ON CONFLICT (reader, thread) DO UPDATE SET updated = excluded.updated"
        )
        with self._open() as connection:
            connection.execute(query, (reader, thread, name_of(question), datetime.now(UTC).isoformat()))

    def rename(self, reader: str, thread: str, title: str) -> None:
        """Call a conversation by another name.

        Raises:
            AnomalyError: the name is empty.
        """
        if not title.strip():
            raise AnomalyError("A conversation needs a name; type one, or leave the old one.")
        query = "UPDATE conversations SET title = ? WHERE reader = ? AND thread = ?"
        with self._open() as connection:
            connection.execute(query, (name_of(title), reader, thread))

    def forget(self, reader: str, thread: str) -> None:
        """Take a conversation off a reader's list."""
        with self._open() as connection:
            connection.execute("DELETE FROM conversations WHERE reader = ? AND thread = ?", (reader, thread))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = open_threads(self.root)
        try:
            with connection:
                yield connection
        except sqlite3.Error as error:
            raise AnomalyError(f"The conversations in {str(self.root)!r} cannot be kept: {error}.") from error
        finally:
            connection.close()


def name_of(text: str) -> str:
    """A text as the name of a conversation: one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE else f"{line[: TITLE - 1].rstrip()}…"


def open_threads(root: Path) -> sqlite3.Connection:
    """The file of all conversations, beside the store.

    Raises:
        AnomalyError: it cannot be opened.
    """
    path = root / "threads.db"
    try:
        root.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    except (OSError, sqlite3.Error) as error:
        raise AnomalyError(f"The conversations in {str(path)!r} cannot be opened: {error}.") from error
    return connection
