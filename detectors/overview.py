"""Every method at a glance: its family, what it is, and its network calls a sample on each modality.

Knows methods and example spaces; nothing is fitted.
"""

from __future__ import annotations

import inspect
from typing import Any

from detectors.method import Method, Space
from detectors.registry import list_methods, methods, modalities

# A small space of each modality, as its encoder makes them: calls depend on settings, hardly on sizes.
SPACES: dict[str, Space] = {
    "image": Space("image", (16, 8, 8), aligned=True),
    "series": Space("series", (3, 32)),
    "table": Space("table", (6,), aligned=True, groups=tuple((f"column {i}", 1) for i in range(6))),
    "video": Space("video", (30, 8, 8), True, (("past", 8), ("appearance", 17), ("motion", 2), ("course", 3))),
    "multimodal": Space("multimodal", (12,), True, (("first", 6), ("second", 6))),
}


def overview(modality: str | None = None) -> list[dict[str, Any]]:
    """One entry a method: name, family, about (the first line of its card), calls {modality: calls a sample}.

    Calls are those of the default settings before anything is fitted; where they depend on the sample, the most.
    Raises AnomalyError for an unknown modality.
    """
    wanted = [modality] if modality is not None else [name for name in modalities() if name in SPACES]
    names = {name: [one for one in wanted if name in list_methods(one)] for name in methods()}
    return [
        {
            "name": name,
            "family": methods()[name].taxonomy,
            "about": inspect.cleandoc(methods()[name].__doc__ or "").split("\n")[0],
            "modalities": sorted(methods()[name].modalities),
            "calls": {one: calls_of(methods()[name], SPACES[one]) for one in on},
        }
        for name, on in names.items()
        if on
    ]


def calls_of(cls: type[Method], space: Space) -> int:
    """Network calls a sample of a method with its default settings."""
    method = cls(space)
    method.build()
    return method.calls
