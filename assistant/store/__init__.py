"""What is kept, in SQLite and folders: runs, findings, evidence, conversations, labels, rules, the log of changes."""

from assistant.store.database import StoreError
from assistant.store.store import (
    Store,
)

__all__ = [
    "Store",
    "StoreError",
]
