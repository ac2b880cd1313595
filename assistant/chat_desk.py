"""Reads the store for the page: pages of the queue, the finding in hand, evidence, the normal version.

Knows the workspace, records and figures; not gradio. Pictures leave as small images inside the HTML, so the server
hands out no file of the store. Holds no state of a session: what is cached is the same for everybody.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from assistant import chat_view, figures, plots, tools
from assistant.clips import load_excerpt
from assistant.evidence import Evidence, format_number
from assistant.keeping import load_json
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.plots_clips import plotly_strip
from assistant.records import Finding
from assistant.windows import leading_signal, series_view
from assistant.words import data_uri, flag_level
from detectors.errors import AnomalyError

PAGE = 24  # cards of a page
_SIDE = 1400  # longest side in pixels of a picture sent to the page
_KEPT = 4096  # thumbnails kept


class Desk:
    """What the page reads, for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.store = workspace.store
        self._thumbs: OrderedDict[str, str] = OrderedDict()
        self._explained: dict[str, Evidence] = {}
        self._lock = threading.Lock()

    # --- the queue ------------------------------------------------------------------------------------------------

    def queue(
        self, run: str | None, filter_: dict[str, Any], page: int, focus: str | None
    ) -> tuple[str, list[str], int]:
        """One page of cards as HTML, the ids on it, and the page shown (clamped to what there is)."""
        chosen = {"state": filter_["state"] or None, "search": filter_["search"] or None}
        total = self.store.count_findings(run, **chosen) if run else 0
        pages = max(1, -(-total // PAGE))
        page = min(max(page, 0), pages - 1)
        order = filter_["order"]
        down = order in ("score", "created")
        found = self.store.findings(run, order, down, PAGE, page * PAGE, **chosen) if run else []
        cards = [chat_view.card(finding, self.thumb(finding)) for finding in found]
        html = chat_view.view("queue", cards, focus, page * PAGE, total, page, pages)
        return html, [finding.id for finding in found], page

    def page_of(self, run: str, finding: str, filter_: dict[str, Any]) -> int:
        """The page of the queue that holds a finding, for the default order; 0 where it is filtered out."""
        found = self.store.finding(finding)
        if filter_["order"] != "p_value" or filter_["state"] or filter_["search"]:
            return 0
        before = self.store.count_findings(run, max_p=np.nextafter(found.p_value, 0.0))
        return before // PAGE

    def thumb(self, finding: Finding) -> str:
        """A card's picture as HTML, made once."""
        with self._lock:
            if finding.id in self._thumbs:
                self._thumbs.move_to_end(finding.id)
                return self._thumbs[finding.id]
        made = self._thumb(finding)
        with self._lock:
            self._thumbs[finding.id] = made
            while len(self._thumbs) > _KEPT:
                self._thumbs.popitem(last=False)
        return made

    def _thumb(self, finding: Finding) -> str:
        if kind(finding.modality).pictured and (finding.folder / "input.png").is_file():
            small = figures.heat_thumbnail(finding.folder / "input.png", load_map(finding))
            return chat_view.thumb_of(finding, picture=small)
        if finding.modality in ("series", "multimodal") and (finding.folder / "window.npz").is_file():
            signal, band = leading_signal(finding)
            return chat_view.thumb_of(finding, signal=signal, band=band)
        return chat_view.thumb_of(finding)

    # --- the finding in hand --------------------------------------------------------------------------------------

    def head(self, finding: Finding) -> str:
        """Its name, actions and facts."""
        return chat_view.head(finding, self.store.run(finding.run))

    def stage(self, finding: Finding, explained: Evidence | None, waiting: str) -> str:
        """The picture of an image finding; for the others what their normal version scores."""
        if not kind(finding.modality).pictured:
            text, evidence = verdict(finding, explained)
            named = "Nearest normal version: " if evidence else ""
            return chat_view.view("verdict", named + text if text else waiting, evidence)
        source = figures.load_picture(finding.folder / "input.png")
        level = load_map(finding)
        boxes = figures.boxes_of(finding.regions)
        expected = finding.folder / "counterfactual.png"
        text, evidence = verdict(finding, explained)
        return chat_view.image_stage(
            {
                "width": source.width,
                "height": source.height,
                "alt": f"{finding.sample} with its anomaly map",
                "input": picture_uri(source),
                "heat": picture_uri(figures.heat_layer(level), lossless=True),
                "paths": chat_view.svg_paths(figures.outlines(level, boxes)),
                "boxes": boxes,
                "cut": cut_at(boxes, source.width),
                "expected": picture_uri(figures.load_picture(expected)) if expected.is_file() else "",
                "verdict": text,
                "evidence": evidence,
                "waiting": waiting,
            }
        )

    def plot(self, finding: Finding) -> Any:
        """The Plotly figure of an event, or None for other kinds of findings."""
        if finding.modality == "video":
            return plotly_strip(load_excerpt(finding.folder), self.level(finding))
        if finding.modality not in ("series", "multimodal"):
            return None
        return plots.plotly_series(series_view(finding, self.level(finding)))

    def parts(self, finding: Finding) -> str:
        """Its ranked places or parts; for a row also the values that are not odd."""
        path = finding.folder / "row.json"
        row = load_json(path)["values"] if finding.modality == "table" and path.is_file() else None
        return chat_view.parts_table(finding, row)

    def level(self, finding: Finding) -> float | None:
        """The score from which its run flagged, where alpha alone decided."""
        return flag_level(self.store.run(finding.run))

    def explain(self, finding: str) -> Evidence:
        """Why it was flagged, with the normal version and its new score; worked out once."""
        if finding not in self._explained:
            self._explained[finding] = tools.call(self.workspace, "explain_finding", finding=finding)
        return self._explained[finding]

    def explained(self, finding: str) -> Evidence | None:
        """The same, if it has been worked out."""
        return self._explained.get(finding)

    def label(self, finding: str, label: str) -> Finding:
        """Keep a reader's word on a finding."""
        evidence = tools.call(self.workspace, "label_finding", finding=finding, label=label)
        if evidence.status == "error":
            raise AnomalyError(evidence.note)
        return self.store.finding(finding)

    # --- evidence -------------------------------------------------------------------------------------------------

    def evidence(self, name: str, cited: Sequence[str] = ()) -> tuple[str, str | None]:
        """The panel of one evidence as HTML, what is cited of it first, and the finding it is about, if any."""
        evidence = self.store.evidence(name)
        pictures = [picture_uri(figures.load_picture(self.store.path(p))) for p in evidence.pictures]
        about = [found[0] for fact in cited if (found := re.match(r"F\d+(?=[/.])", fact))]
        about += [subject for subject in evidence.subjects if subject.startswith("F")]
        return chat_view.evidence_panel(evidence, pictures, cited), about[0] if about else None


def cut_at(boxes: list[figures.Box], width: int) -> int:
    """Where before and after meet at first, in percent of the width: through the guiltiest place."""
    middle = 100 * (boxes[0].left + boxes[0].right) / 2 / width if boxes else 50.0
    return round(min(90.0, max(10.0, middle)))


def load_map(finding: Finding) -> np.ndarray:
    """The calibrated map of an image finding, (h, w) float32."""
    return np.asarray(np.load(finding.folder / "map.npy", allow_pickle=False), np.float32)


def verdict(finding: Finding, explained: Evidence | None) -> tuple[str, str]:
    """What the normal version's new score says, and the evidence for it."""
    if explained is None or explained.status != "ok":
        return (explained.note if explained else ""), ""
    facts = {fact.field: fact.value for fact in explained.facts if fact.subject == finding.id}
    after = facts.get("counterfactual_p_value")
    if not isinstance(after, float):
        return "", explained.id
    back = "returns to normal" if facts.get("returns_to_normal") else "does not return to normal"
    return f"p {format_number(finding.p_value)} → {format_number(after)}: {back}", explained.id


def picture_uri(image: Image.Image, side: int = _SIDE, lossless: bool = False) -> str:
    """An image inside the page, at most `side` pixels long."""
    if max(image.size) > side:
        scale = side / max(image.size)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    buffer = BytesIO()
    small = max(image.size) <= 512
    image.save(buffer, "WEBP", quality=90, lossless=lossless or small, method=2)
    return data_uri(buffer.getvalue())
