"""The command that watches a source. Everything heavy is imported inside it."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.cli.shared import ConfigOption, JsonOption, StoreOption, settings_of
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from assistant.records import Finding
    from assistant.watch.loop import Summary

watching = typer.Typer()


@watching.command()
def watch(
    source: Annotated[
        str, typer.Argument(help="A folder, a growing CSV or Parquet, a clip, camera:DEVICE; with --listen a name.")
    ],
    model: Annotated[Path, typer.Option("--model", help="Folder of a fitted model.")],
    alpha: Annotated[float | None, typer.Option("--alpha", help="Flag p-values up to this (default: 0.01).")] = None,
    once: Annotated[bool, typer.Option("--once", help="Judge what is new, then end: for cron.")] = False,
    webhook: Annotated[
        str | None, typer.Option("--webhook", help="Send new findings here, signed with ANOMALY_WEBHOOK_SECRET.")
    ] = None,
    listen: Annotated[
        int | None, typer.Option("--listen", help="Take rows and files by HTTP POST at this port.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; others than this machine need ANOMALY_PUSH_TOKEN.")
    ] = "127.0.0.1",
    settle: Annotated[
        float, typer.Option("--settle", min=0.0, help="Seconds a file must rest before it is read.")
    ] = 1.0,
    idle: Annotated[
        float, typer.Option("--idle", min=0.0, help="Seconds after which a series at rest is judged to its end.")
    ] = 60.0,
    fps: Annotated[float, typer.Option("--fps", min=0.01, help="Frames a second taken from a camera.")] = 1.0,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge what comes in, as it comes: findings go to the store, and alerts to a webhook."""
    from assistant.pipeline import Workspace, model_folder
    from assistant.watch.loop import Options
    from assistant.watch.loop import watch as go

    settings = settings_of(config, store=store, alpha=alpha)
    if listen is not None and not 0 <= listen <= 65535:
        raise AnomalyError(f"--listen takes a port from 0 to 65535, not {listen}.")
    options = Options(
        settings.alpha, once, settle, idle, fps, webhook or "", None if listen is None else (host, listen)
    )
    model = model_folder(model)  # before a store is made
    workspace = Workspace.open(settings, create=True)
    stop = _stopped_by_signals()
    told = _Lines(as_json)
    summary = go(workspace, source, model, options, told, stop)
    told.summary(summary)


def _stopped_by_signals() -> threading.Event:
    """Set by Ctrl-C or a polite kill: what is in hand is finished first. A second Ctrl-C stops at once."""
    stop = threading.Event()

    def note(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, note)
        signal.signal(signal.SIGTERM, note)
    return stop


class _Lines:
    """A line for everything that happens: text for people, or a JSON document a line."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def finding(self, finding: Finding) -> None:
        from assistant.cli.terminal import place, say
        from assistant.evidence import format_number

        if self.as_json:
            return self._give({"finding": finding.to_dict()})
        told = (finding.id, finding.sample, f"p {format_number(finding.p_value)}", finding.kind, place(finding))
        say("  ".join(part for part in told if part))
        sys.stdout.flush()
        return None

    def remark(self, text: str) -> None:
        from assistant.cli.terminal import remark

        self._give({"remark": text}) if self.as_json else remark(text)

    def summary(self, summary: Summary) -> None:
        from assistant.cli.terminal import say

        if self.as_json:
            return self._give({"summary": summary.to_dict()})
        found = f"{len(summary.findings)} finding{'' if len(summary.findings) == 1 else 's'}"
        names = f" ({summary.findings[0]} to {summary.findings[-1]})" if len(summary.findings) > 1 else ""
        rest = f", {summary.skipped} left out" if summary.skipped else ""
        waits = f" {summary.alerts_waiting} alert(s) wait in the store." if summary.alerts_waiting else ""
        runs = f" in {', '.join(summary.runs[-3:])}" if summary.runs else ""
        return say(f"{summary.judged} judged in {summary.seconds:.0f} s, {found}{names}{runs}{rest}.{waits}")

    def _give(self, value: dict[str, Any]) -> None:
        from assistant.keeping import plain

        print(json.dumps(plain(value), ensure_ascii=False), flush=True)
