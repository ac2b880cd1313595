"""What one open page has in hand, what its parts are made of, and how what goes wrong is told.

Knows gradio; not the store, the views or what any part says.
"""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, wraps
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.chat.intake import Upload
from detectors.errors import AnomalyError


@dataclass
class Session:
    """What one open page has in hand, in `gr.State`; nothing of one reader is kept where another could see it."""

    run: str | None = None
    filter: dict[str, str] = field(default_factory=lambda: {"state": "", "search": "", "order": "p_value"})
    page: int = 0
    focus: str | None = None
    reader: str = ""  # the browser's own id, which nobody can guess
    thread: str = ""
    talk: list[dict[str, Any]] = field(default_factory=list)
    question: str = ""  # the last one of this conversation
    answered: bool = True  # whether it was; else it was stopped, or failed
    turn: int = 0  # counts what was asked and stopped: an answer whose turn is over changes nothing any more
    editing: bool = False  # the next question takes the place of the last
    suggestions: tuple[str, ...] = ()
    uploads: list[Upload] = field(default_factory=list)  # waiting to be used on the Data tab
    watched: dict[str, str] = field(default_factory=dict)  # job → its status when last told
    latest: str = ""  # the latest run when last looked
    incident: str | None = None  # open on the Incidents tab
    pick: float = 0.0  # the latest pick that was begun; picks may overtake each other on their way
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """What went wrong reaches the reader as one sentence; names in it are escaped."""

    @wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except AnomalyError as error:
            raise said(error) from error

    return wrapper


def said(error: AnomalyError) -> gr.Error:
    """A sentence as the page's own message."""
    return gr.Error(escape(str(error)), duration=12, title="That did not work", print_exception=False)


def own(js: str, name: str, value: str = "") -> gr.HTML:
    """A part of the page that we draw ourselves."""
    return gr.HTML(value, elem_id=name, elem_classes="own", js_on_load=js or None, apply_default_css=False)


def resource(name: str) -> str:
    """A text of the page that comes with the package."""
    return resources.files("assistant").joinpath("templates", name).read_text(encoding="utf-8")


def new_id() -> str:
    """A name for a reader or a conversation that nobody can guess."""
    return uuid.uuid4().hex


def download_folder() -> Path:
    """A fresh folder for a file that is handed to a reader; gone when the page's process ends."""
    return Path(tempfile.mkdtemp(dir=_downloads().name))


@cache
def _downloads() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="anomaly-downloads-")
