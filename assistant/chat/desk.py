"""Reads the store for the page: thumbnails, the finding in hand, evidence, the normal version.

Knows the workspace, records and figures; not gradio. Pictures leave as small images inside the HTML, so the server
hands out no file of the store. Holds no state of a session: what is cached is the same for everybody.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assistant import figures, tools
from assistant.chat import view as chat_view
from assistant.chat.clips import clip_player, parts_player
from assistant.chat.queue import Queue
from assistant.evidence import Evidence, format_number
from assistant.figures import plots
from assistant.keeping import load_json
from assistant.keeping.windows import leading_signal, series_view
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.records import Finding
from assistant.spread import Spreads
from assistant.store.audit import acting
from assistant.words import data_uri, flag_level
from detectors.errors import AnomalyError

_SIDE = 1400  # longest side in pixels of a picture sent to the page
_KEPT = 4096  # thumbnails kept
_AS_IT_IS = 400_000  # bytes up to which a file is sent as it is
_SPREADS = 8  # features of a row that are shown among normal ones
_PLAYERS = 48  # players kept


@dataclass(frozen=True)
class After:
    """What is shown beside the input: a picture where there is one, what it is, and what its score says."""

    picture: Path | None
    shown: str
    verdict: str
    evidence: str
    waiting: str = ""
    cut: int | None = (
        None  # where input and picture meet at first, in percent of the width; else at the guiltiest place
    )


class Desk:
    """What the page reads, for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.store = workspace.store
        self.spreads = Spreads(self.store)
        self.queue = Queue(self.store, self.thumb)
        self._thumbs: OrderedDict[str, str] = OrderedDict()
        self._players: OrderedDict[str, str] = OrderedDict()
        self._explained: dict[str, Evidence] = {}
        self._lock = threading.Lock()

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
            named = "Nearest normal version: " if " → " in text else ""
            said = chat_view.view("verdict", named + text if text else waiting, evidence)
            return said + self._player(finding) + (chat_view.view("brush") if self.has_plot(finding) else "")
        expected = finding.folder / "counterfactual.png"
        text, evidence = verdict(finding, explained)
        after = After(expected if expected.is_file() else None, "normal version", text, evidence, text or waiting)
        return self._panes(finding, after) + self._player(finding)

    def tried(self, finding: Finding, repaired: Evidence) -> str:
        """The picture of a finding beside the version in which a drawn place was repaired."""
        text, evidence = verdict(finding, repaired, "after")
        edges = {one.field: int(str(one.value)) for one in repaired.facts if one.subject == f"{finding.id}/box"}
        box = figures.Box("box", edges["left"], 0, edges["left"] + edges["width"], 0)
        with Image.open(finding.folder / "input.png") as opened:
            cut = cut_at([box], opened.width)
        after = After(self.store.path(repaired.pictures[0]), "repaired box", text, evidence, cut=cut)
        return self._panes(finding, after) + self._player(finding)

    def _panes(self, finding: Finding, after: After) -> str:
        with Image.open(finding.folder / "input.png") as opened:
            width, height = opened.size
        level = load_map(finding)
        boxes = figures.boxes_of(finding.regions)
        return chat_view.image_stage(
            {
                "finding": finding.id,
                "width": width,
                "height": height,
                "alt": f"{finding.sample} with its anomaly map",
                "input": file_uri(finding.folder / "input.png"),
                "heat": picture_uri(figures.heat_layer(level), lossless=True),
                "paths": chat_view.svg_paths(figures.outlines(level, boxes)),
                "boxes": boxes,
                "cut": cut_at(boxes, width) if after.cut is None else after.cut,
                "expected": file_uri(after.picture) if after.picture else "",
                "shown": after.shown,
                "title": "Nearest normal version" if after.shown == "normal version" else "With the box repaired",
                "verdict": after.verdict,
                "evidence": after.evidence,
                "waiting": after.waiting,
            }
        )

    def _player(self, finding: Finding) -> str:
        """The frames of a clip, or of the part that has pictures, over their scores; nothing for other findings."""
        if finding.modality not in ("video", "multimodal"):
            return ""
        with self._lock:
            known = self._players.get(finding.id)
        if known is not None:
            return known
        level = self.level(finding)
        if finding.modality == "video":
            clip: dict[str, Any] | None = clip_player(finding, level, load_map(finding), picture_uri)
        else:
            clip = parts_player(finding, level, picture_uri)
        made = chat_view.view("player", clip) if clip else ""
        with self._lock:
            self._players[finding.id] = made
            while len(self._players) > _PLAYERS:
                self._players.popitem(last=False)
        return made

    @staticmethod
    def has_plot(finding: Finding) -> bool:
        """Whether there are channels to draw."""
        return finding.modality in ("series", "multimodal")

    def plot(self, finding: Finding) -> Any:
        """The Plotly figure of an event, or None for other kinds of findings."""
        if not self.has_plot(finding):
            return None
        view = series_view(finding, self.level(finding))
        if view.expected is not None:
            around = self.spreads.around(finding.id, finding.run, view.channels, view.expected, plots.CHANNELS)
            view = replace(view, band=around)
        return plots.plotly_series(view)

    def parts(self, finding: Finding) -> str:
        """Its ranked places or parts; for a row also the values that are not odd."""
        path = finding.folder / "row.json"
        if finding.modality != "table":
            return chat_view.parts_table(finding)
        row = load_json(path)["values"] if path.is_file() else None
        spreads = self.spreads.of_features(finding.run, [str(part["name"]) for part in finding.parts[:_SPREADS]])
        return chat_view.parts_table(finding, row, spreads)

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

    def label(self, finding: str, label: str, session: str = "") -> Finding:
        """Keep a reader's word on a finding; `session` is the page's name in the audit log."""
        with acting(via="page", session=session):
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


def verdict(finding: Finding, explained: Evidence | None, of: str = "counterfactual") -> tuple[str, str]:
    """What the new score of the normal version (or of a repair, "after") says, and the evidence for it."""
    if explained is None or explained.status != "ok":
        return (explained.note if explained else ""), ""
    facts = {fact.field: fact.value for fact in explained.facts if fact.subject == finding.id}
    after = facts.get(f"{of}_p_value")
    if not isinstance(after, float):  # what normal would look like could not be worked out; the note says why
        return explained.note or "There is no normal version.", explained.id
    back = "returns to normal" if facts.get("returns_to_normal") else "does not return to normal"
    return f"p {format_number(finding.p_value)} → {format_number(after)}: {back}", explained.id


def picture_uri(image: Image.Image, side: int = _SIDE, lossless: bool = False) -> str:
    """An image inside the page, at most `side` pixels long."""
    if max(image.size) > side:
        scale = side / max(image.size)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    buffer = BytesIO()  # lossless at quality 0 is the fastest, not the worst: pixels stay as they are
    image.save(buffer, "WEBP", quality=0 if lossless else 90, lossless=lossless, method=0)
    return data_uri(buffer.getvalue())


def file_uri(path: Path) -> str:
    """A kept picture inside the page: the file as it is where a browser shows it as we would, else made anew."""
    with Image.open(path) as opened:
        plain = opened.format == "PNG" and opened.mode in ("L", "RGB") and max(opened.size) <= _SIDE
    if plain and path.stat().st_size <= _AS_IT_IS:
        return data_uri(path.read_bytes(), "image/png")
    return picture_uri(figures.load_picture(path))
