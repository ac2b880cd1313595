"""`run_bench`: our methods beside strong simple baselines, in the same run, on public sets in a local folder.

A topic is a module here with `measure`, `as_json` and `as_markdown`; it is found by scanning. Labels are used for the
figures and for nothing else: fitting and thresholds see normal data alone.
"""

from __future__ import annotations

import json
import pkgutil
import platform
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from detectors.errors import AnomalyError

MODALITY = {"tables": "table", "images": "image"}  # where a topic is not called as its modality


def topics() -> dict[str, ModuleType]:
    """The modules of this folder that measure something, by name."""
    modules = {info.name: import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)}
    return {name: module for name, module in sorted(modules.items()) if hasattr(module, "measure")}


def run_bench(
    what: Sequence[str] | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seeds: Sequence[int] = (0,),
    progress: Callable[[float, str], None] | None = None,
    methods: Sequence[str] | None = None,
    figure: str | Path | None = None,
) -> dict[str, Any]:
    """Measure, and return {"machine": ..., topic: {"rows": [...], "table": Markdown, "costs": [...]}}.

    what: topics, all by default; data: the folder that holds the sets; out: a JSON file to write; methods: names, with
    a form after a colon where a method has forms (the topic's own choice by default); figure: a picture of accuracy
    against cost to write (PNG, SVG or PDF).
    Raises AnomalyError for an unknown topic, an unknown method or a missing folder.
    """
    known = topics()
    chosen = list(what or known)
    unknown = [topic for topic in chosen if topic not in known]
    if unknown:
        raise AnomalyError(f"{unknown[0]!r} cannot be measured; known: {', '.join(known)}.")
    if data is None or not Path(data).is_dir():
        raise AnomalyError(f"There is no folder of data sets at {data or '(not given)'}; name it with --data FOLDER.")
    asked = {topic: methods_of(topic, known[topic], methods) for topic in chosen}
    tell = progress or (lambda fraction, message: None)
    result: dict[str, Any] = {"machine": _machine(), "seeds": list(seeds)}
    for number, topic in enumerate(chosen):
        module, share = known[topic], number / len(chosen)
        rows = module.measure(
            Path(data), seeds=tuple(seeds), progress=lambda text, share=share: tell(share, text), **asked[topic]
        )
        result[topic] = told(module.as_json(rows), module.as_markdown(rows))
        if out is not None:  # after each topic: hours of measuring are not lost to a late failure
            Path(out).write_text(json.dumps(result, indent=1))
    if figure is not None:
        from detectors.bench.figure import draw

        draw({topic: result[topic]["costs"] for topic in chosen}, Path(figure))
    tell(1.0, "measured")
    return result


def told(rows: list[dict[str, Any]], table: str) -> dict[str, Any]:
    """What is said of one topic: its rows, its own table, and accuracy and cost of each method in common columns."""
    from detectors.bench.summary import costs_table, summarised

    costs = summarised(rows)
    return {"rows": rows, "table": table, "costs": costs, "costs_table": costs_table(costs)}


def methods_of(topic: str, module: ModuleType, wanted: Sequence[str] | None) -> dict[str, Sequence[str]]:
    """`methods=` for a topic's `measure`: nothing where nobody asked. Raises AnomalyError for an unknown method."""
    from detectors.registry import list_methods

    if wanted is None:
        return {}
    own = list(getattr(module, "METHODS", ()))
    usable = [*own, *(list_methods(MODALITY.get(topic, topic)) if topic != "cost" else ())]
    for name in wanted:
        if name not in own and name.partition(":")[0] not in usable:
            raise AnomalyError(
                f"method={name!r} cannot be measured on {topic}; there are: {', '.join(sorted(usable))}."
            )
    return {"methods": tuple(wanted)}


def _machine() -> dict[str, Any]:
    import torch

    from detectors.persistence import versions

    return {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads(), **versions()}
