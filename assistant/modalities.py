"""What the assistant must know of each modality, in one place: what things are called, and how findings are shown.

Knows words; not stores, files, detectors or pages. A modality that is not named here is told in general words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """How findings of a modality are spoken of and shown."""

    samples: str  # what is scored
    findings: str  # what is flagged
    part: str  # what carries a score besides places
    pictured: bool = False  # a finding keeps a picture, and its places are boxes in it
    event: bool = False  # a finding is a run of neighbouring samples
    places_are_parts: bool = False  # the parts are the places themselves
    units: Mapping[str, str] = field(default_factory=dict)  # of parts that have one whatever the data


KINDS = {
    "image": Kind("images", "images", "region", pictured=True, places_are_parts=True),
    "series": Kind("stamps", "events", "channel", event=True),
    "table": Kind("rows", "rows", "feature"),
    "multimodal": Kind("steps", "events", "channel", event=True),
    "video": Kind("frames", "events", "part", pictured=True, event=True, units={"motion": "px/frame"}),
}
OTHER = Kind("samples", "findings", "part")


def kind(modality: str) -> Kind:
    """What is known of a modality."""
    return KINDS.get(modality, OTHER)
