"""What all commands share: their options, settings, the store, waiting while a page is served, and exit codes.

Exit codes: 0 done, 1 our fault, 2 bad input, 3 a report no longer holds, 130 stopped. Knows
options and errors; not what a command does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from assistant.config import Config
    from assistant.pipeline import Workspace

OK, INTERNAL, BAD_INPUT, DIFFERS, STOPPED = 0, 1, 2, 3, 130
UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # of click, or of the click that typer brings along

StoreOption = Annotated[str | None, typer.Option("--store", help="Folder or SQLAlchemy URL of the store.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (default: ./anomaly.toml).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
LlmOption = Annotated[
    str | None, typer.Option("--llm", help="narrator (embedded), local:PATH, or PROVIDER:NAME such as openai:gpt-5.")
]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to serve at (default: 127.0.0.1).")]
PortOption = Annotated[int | None, typer.Option("--port", help="Port to serve at (default: 7860).")]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
RunOption = Annotated[str | None, typer.Option("--run", help="A run such as R1 (default: the latest).")]


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """`--set` pairs: JSON values where they are JSON, else None, True, False, else text.

    Raises:
        AnomalyError: a pair without a key or an equals sign.
    """
    words = {"none": None, "true": True, "false": False}
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key.strip():
            raise AnomalyError(f"--set takes key=value, not {pair!r}.")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = words.get(text.strip().lower(), text)
        settings[key.strip().replace("-", "_")] = value
    return settings


def settings_of(config: Path | None, **flags: Any) -> Config:
    """All settings, with what was given on the command line on top."""
    from assistant.config import load_config

    return load_config(config, **flags)


def workspace_of(config: Path | None, store: str | None, **flags: Any) -> Workspace:
    """The store, which must be there."""
    from assistant.pipeline import Workspace

    return Workspace.open(settings_of(config, store=store, **flags))


def wait_at(address: str, as_json: bool) -> None:
    """Say where the page is, and wait to be stopped; stopping is the normal end."""
    from assistant.cli.terminal import give, remark

    try:
        if as_json:
            give({"address": address})
            sys.stdout.flush()
        else:
            remark(f"The chat is at {address} (Ctrl-C stops it).")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        remark("Stopped.")


def guarded(command: Callable[[list[str]], object], arguments: list[str]) -> int:
    """Run the command line; an error is one sentence, and the exit code says whose fault it was."""
    try:
        code = command(arguments)
        sys.stdout.flush()
        if code == STOPPED:  # the command line's own word for Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else OK
    except AnomalyError as error:
        return _failed(str(error), arguments, BAD_INPUT)
    except UsageError as error:
        return _failed(error.format_message(), arguments, BAD_INPUT)  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        print("Stopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        if os.environ.get("ANOMALY_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}".split("\n")[0]
        return _failed(f"Internal error, not your fault: {what}. ANOMALY_DEBUG=1 shows where.", arguments, INTERNAL)


def _failed(message: str, arguments: list[str], code: int) -> int:
    from assistant.cli.terminal import give, printable

    if "--json" in arguments:
        give({"error": message})
    print(printable(f"anomaly: {message}"), file=sys.stderr)
    return code
