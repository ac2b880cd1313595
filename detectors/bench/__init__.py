"""`run_bench`: our methods beside strong simple baselines, in the same run, on public sets in a local folder.

Labels are used for the figures and for nothing else: fitting and thresholds see normal data alone.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from detectors.errors import AnomalyError

TOPICS = ("tables", "series", "images", "video")


def run_bench(
    what: Sequence[str] | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seeds: Sequence[int] = (0,),
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Measure, and return {"machine": ..., topic: {"rows": [...], "table": Markdown}}.

    what: topics, all by default; data: the folder that holds the sets; out: a JSON file to write.
    Raises AnomalyError for an unknown topic or a missing folder.
    """
    topics = list(what or TOPICS)
    unknown = [topic for topic in topics if topic not in TOPICS]
    if unknown:
        raise AnomalyError(f"{unknown[0]!r} cannot be measured; known: {', '.join(TOPICS)}.")
    if data is None or not Path(data).is_dir():
        raise AnomalyError(f"There is no folder of data sets at {data or '(not given)'}; name it with --data FOLDER.")
    tell = progress or (lambda fraction, message: None)
    result: dict[str, Any] = {"machine": _machine(), "seeds": list(seeds)}
    for number, topic in enumerate(topics):
        module = import_module(f"detectors.bench.{topic}")
        share = number / len(topics)
        rows = module.measure(Path(data), seeds=tuple(seeds), progress=lambda text, share=share: tell(share, text))
        result[topic] = {"rows": module.as_json(rows), "table": module.as_markdown(rows)}
        if out is not None:  # after each topic: hours of measuring are not lost to a late failure
            Path(out).write_text(json.dumps(result, indent=1))
    tell(1.0, "measured")
    return result


def _machine() -> dict[str, Any]:
    import torch

    from detectors.persistence import versions

    return {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads(), **versions()}
