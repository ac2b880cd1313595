"""Draws the figures that stand inside an answer: pictures, the stretch of an event, the leading features of a row.

Knows the store, evidence and figures; not gradio or language models. Each figure is HTML that leads to its finding.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from assistant import figures
from assistant.evidence import Evidence
from assistant.figures import plots
from assistant.keeping.windows import series_view
from assistant.records import Finding
from assistant.store import Store
from assistant.words import data_uri, flag_level, number, title
from detectors.errors import AnomalyError

MOST = 2  # figures of one answer
SIDE = 520  # pixels
FEATURES = 5  # bars of a row
CHANNELS = 2  # of an event
_KEPT = 256
# results about one finding that a drawing of it makes plain; lists and overviews have none
_TELLING = frozenset(
    (
        "describe_finding", "explain_finding", "kind_of_finding", "show_map", "test_explanation", "trace_event",
        "what_differs", "what_if_repaired", "what_if_without",
    )
)  # fmt: skip


class Figures:
    """The figures of one store's answers; what was drawn once is kept."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._made: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, cited: Sequence[Evidence]) -> list[str]:
        """At most `MOST` figures for an answer that cites these results, as HTML."""
        found: list[str] = []
        for evidence in cited:
            about = next((name for name in evidence.subjects if name.startswith("F")), "")
            found += [self._kept(path, about) for path in evidence.pictures]
            if about and not evidence.pictures and evidence.tool in _TELLING:
                found.append(self._kept("", about))
            if len(found) >= MOST:
                break
        return [made for made in dict.fromkeys(found) if made][:MOST]

    def _kept(self, path: str, about: str) -> str:
        """A picture of the store, or (no path) the drawing of a finding; "" where its files are gone."""
        try:
            finding = self.store.finding(about) if about else None
            drawn = f"{about} {(finding.folder / 'counterfactual.npz').is_file()}" if finding else ""
            key = path or drawn
            with self._lock:
                if key in self._made:
                    return self._made[key]
            made = shot(picture_address(self.store.path(path)), about) if path else draw(self.store, finding)
        except (AnomalyError, OSError):
            return ""
        with self._lock:
            self._made[key] = made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made


def draw(store: Store, finding: Finding | None) -> str:
    """An event with what was expected, or the features that carry a row's score; "" for anything else."""
    if finding is None:
        return ""
    if finding.modality in ("series", "multimodal") and (finding.folder / "window.npz").is_file():
        view = series_view(finding, flag_level(store.run(finding.run)))
        data = plots.series_png(view, CHANNELS, width=5.2)
        return shot(data_uri(data, "image/png"), finding.id, f"{title(finding)}: observed and expected", "drawn")
    if finding.modality == "table" and finding.parts:
        picture = bars_svg(finding)
        return shot(data_uri(picture.encode(), "image/svg+xml"), finding.id, f"{finding.sample}: features", "drawn")
    return ""


def shot(address: str, finding: str, said: str = "", style: str = "") -> str:
    """A figure as HTML; it opens its finding."""
    words = said or (f"Picture of {finding}" if finding else "Picture cited in the answer")
    image = f'<img class="shot {style}" src="{address}" alt="{escape(words)}">'
    return f'<a href="#{finding}" title="Open {finding}">{image}</a>' if finding else image


def picture_address(path: Path) -> str:
    """A picture, small enough for the talk, as an address inside the page."""
    image = figures.load_picture(path)
    if max(image.size) > SIDE:
        scale = SIDE / max(image.size)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=90, method=2)
    return data_uri(buffer.getvalue())


def bars_svg(finding: Finding) -> str:
    """The leading features of a row: share of the score as bars, with observed and expected values; on white."""
    rows = []
    for at, part in enumerate(finding.parts[:FEATURES]):
        top = 8 + 34 * at
        told = f"{number(part['observed'])}, expected {number(part['expected'])}"
        rows.append(
            f'<text x="8" y="{top + 10}" font-weight="600">{escape(str(part["name"])[:28])}</text>'
            f'<text x="412" y="{top + 10}" text-anchor="end" fill="#5c626b">{escape(told[:48])}</text>'
            f'<rect x="8" y="{top + 15}" width="404" height="8" rx="2" fill="#e7e9ec"/>'
            f'<rect x="8" y="{top + 15}" width="{404 * min(1.0, max(0.0, part["share"])):.0f}" height="8" rx="2" '
            f'fill="{plots.FLAGGED}"/>'
        )
    height = 12 + 34 * len(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="420" height="{height}" viewBox="0 0 420 {height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#2b2f36"><rect width="420" height="{height}" '
        f'fill="#ffffff"/>{"".join(rows)}</svg>'
    )
