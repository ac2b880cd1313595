"""Asks question cases over made-up stores through the whole assistant: loop, tools, check, for any language model.

Knows the agent and the made-up tools; judges nothing (see `assistant.evaluate`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.agent import Assistant
from assistant.config import Config
from assistant.evals.made_stores import MadeStore, build
from assistant.evaluate import Asker, Reply
from assistant.evidence import Evidence
from assistant.llm import NARRATOR
from assistant.pipeline import Workspace
from assistant.store import Store

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


Opener = Callable[[str | MadeStore], Asker]  # a made-up store, by name or as it is -> a way to ask


@contextmanager
def conversations(llm: str | BaseChatModel = NARRATOR, fallback: bool = False) -> Iterator[Opener]:
    """Opens conversations over made-up stores, each from its start; files lie in a folder that is removed at the end.

    fallback: whether the narrator answers where the model cannot; a measured model stands on its own.

    Raises:
        AnomalyError: the model's name is not understood or it cannot be set up.
    """
    folder = Path(tempfile.mkdtemp(prefix="anomaly-eval-"))
    workspace = Workspace(Store.open(folder, create=True), Config())
    assistants: list[Assistant] = []

    def open_(world: str | MadeStore) -> Asker:
        log: list[Evidence] = []
        tools = (build(world) if isinstance(world, str) else world).tools(log)
        assistant = Assistant(workspace, llm, f"case {len(assistants)}", tools, fallback)
        assistants.append(assistant)

        def ask(question: str, focus: str | None) -> Reply:
            before = len(log)
            text = assistant.ask(question, focus).text
            return Reply(text, tuple(log[before:]), tuple(log[:before]))

        return ask

    try:
        yield open_
    finally:
        for assistant in assistants:
            assistant.close()
        workspace.store.close()
        shutil.rmtree(folder, ignore_errors=True)
