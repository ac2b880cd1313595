"""Diffusion detectors for images, series and tables behind one interface. Never imports the assistant."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from detectors.detection import Detection, Part, Region
    from detectors.detector import Detector, load_detector, make_detector
    from detectors.registry import list_methods

__all__ = [
    "AnomalyError",
    "Detection",
    "Detector",
    "Part",
    "Region",
    "list_methods",
    "load_detector",
    "make_detector",
]

_HOME = {
    "Detection": "detectors.detection",
    "Part": "detectors.detection",
    "Region": "detectors.detection",
    "Detector": "detectors.detector",
    "load_detector": "detectors.detector",
    "make_detector": "detectors.detector",
    "list_methods": "detectors.registry",
}


def __getattr__(name: str) -> Any:
    """Import on first use: torch costs seconds that `anomaly --help` must not pay."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'detectors' has no attribute {name!r}")
