"""Who acts: whoever changes something says so once (`acting`), and all changes made inside go under that name.

Knows names; not what is changed. Light, so that the command line may import it at once.
"""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Actor:
    """Who acts, by what means, in which page or conversation."""

    who: str = ""
    via: str = "python"
    session: str = ""


NOBODY = Actor()
_acting: ContextVar[Actor] = ContextVar("acting", default=NOBODY)


def actor() -> Actor:
    """Whoever acts now; "" for a name that was not said."""
    return _acting.get()


@contextmanager
def acting(who: str | None = None, via: str | None = None, session: str | None = None) -> Iterator[Actor]:
    """Changes made inside are this person's; what is None stays as it is around."""
    given = {key: value for key, value in (("who", who), ("via", via), ("session", session)) if value is not None}
    token = _acting.set(replace(_acting.get(), **given))
    try:
        yield _acting.get()
    finally:
        _acting.reset(token)


def short_session(name: str) -> str:
    """A conversation's name for the log: the name itself opens the conversation, so it is not written down."""
    return hashlib.sha256(name.encode()).hexdigest()[:10] if name else ""


def os_user() -> str:
    """The name of this process's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user on this machine (containers)
        return "unknown"
