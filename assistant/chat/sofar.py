"""What a batch has shown so far: the most anomalous of the samples scored up to now, with small pictures.

Takes what a scorer shows (`assistant.scoring.Seen`) and turns it into what a job's card lists. Knows words; not gradio,
the store or detectors. Nothing of it is a finding yet: findings enter the store together, when the batch is done.
"""

from __future__ import annotations

import threading
from bisect import insort
from typing import Any

from assistant.evidence import format_number
from assistant.scoring import Seen
from assistant.words import data_uri

SHOWN = 12
SETTLED = "flagged so far, the most anomalous first; they enter the queue together when all are scored"
OPEN = "at or below alpha so far; which of them count is known when all p-values are there (FDR)"


class SoFar:
    """The flagged samples of a batch under way; filled by the job's thread, read by the page."""

    def __init__(self) -> None:
        self.count = 0
        self.settled = False
        self._best: list[tuple[float, int, str, str]] = []  # p-value, order, name, picture
        self._lock = threading.Lock()

    def see(self, one: Seen) -> None:
        """Take up a sample; the first settled one takes the place of all that were not."""
        with self._lock:
            if one.settled and not self.settled:
                self.count, self._best, self.settled = 0, [], True
            self.count += 1
            if len(self._best) == SHOWN and one.p_value >= self._best[-1][0]:
                return
            picture = data_uri(one.draw()) if one.draw is not None else ""
            insort(self._best, (one.p_value, self.count, one.name, picture))
            del self._best[SHOWN:]

    def card(self) -> dict[str, Any]:
        """What the page shows of it; empty where nothing is flagged yet."""
        with self._lock:
            items = [{"name": name, "p": format_number(p), "picture": picture} for p, _, name, picture in self._best]
            return {"items": items, "words": f"{self.count:,} {SETTLED if self.settled else OPEN}"} if items else {}
