"""What a finding's parts and places say by themselves, where a modality measures nothing finer: shares and ratios.

Turns parts (observed, expected, share) into named numbers of the part that leads. Knows no models, thresholds or names
of anomalies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from detectors.detection import Measure, Part, Region

COUNTS = 0.2  # share from which a part or place takes part


def carried(parts: Sequence[Part], regions: Sequence[Region]) -> tuple[Measure, ...]:
    """Shares of the leading part and place, how many take part, and of each part its share and how many times the
    expected value it shows (parts with a plain name: "motion_share", "motion_ratio")."""
    if not parts:
        return ()
    lead = parts[0].name
    found = [
        Measure(lead, "part_share", 100.0 * parts[0].share, "%"),
        Measure(lead, "parts_involved", sum(part.share >= COUNTS for part in parts)),
    ]
    if regions:
        found.append(Measure(lead, "place_share", 100.0 * regions[0].share, "%"))
        found.append(Measure(lead, "places_involved", sum(region.share >= COUNTS for region in regions)))
    for part in parts:
        if not re.fullmatch(r"[a-z][a-z_]{0,23}", part.name):
            continue
        found.append(Measure(lead, f"{part.name}_share", 100.0 * part.share, "%"))
        if isinstance(part.observed, int | float) and isinstance(part.expected, int | float) and part.expected:
            found.append(Measure(lead, f"{part.name}_ratio", float(part.observed / part.expected)))
    return tuple(found)
