"""Waits until a folder has changed, a while has passed, or the watch is to stop. Knows folders and events only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOOK_EVERY = 1.0  # seconds: also without a notice, since some file systems send none


class Waiter:
    """One place to wait at; `stop` ends any wait."""

    def __init__(self, stop: threading.Event, every: float = LOOK_EVERY) -> None:
        self.stop, self.every = stop, every
        self._notices: dict[Path, Iterator[Any]] = {}

    def wait(self, folder: Path | None = None) -> None:
        """Until something in `folder` has changed, at most `every` seconds."""
        if folder is None or not folder.is_dir():
            self.stop.wait(self.every)
            return
        if folder not in self._notices:
            from watchfiles import watch

            self._notices[folder] = watch(
                folder, stop_event=self.stop, rust_timeout=int(1000 * self.every), yield_on_timeout=True,
                step=50, debounce=400, watch_filter=None, ignore_permission_denied=True,
            )  # fmt: skip
        try:
            next(self._notices[folder], None)
        except (OSError, RuntimeError):  # the folder went away, or the system has no more watches: look by the clock
            del self._notices[folder]
            self.stop.wait(self.every)
