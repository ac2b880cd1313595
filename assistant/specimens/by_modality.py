"""Specimens by modality: what of a finding can be repaired, and what its samples are. A new modality is one class here.

Knows findings, their kept files and the detector they are handed; not the store, tools or language models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from assistant.keeping import keep_json, load_stretch, plain, region_mask, write
from assistant.keeping.clips import load_excerpt
from assistant.keeping.drawn import box_in, filled_box, kept_rows
from assistant.records import Finding
from assistant.specimens.specimen import GUILTY, MOST_CHANNELS, MOST_NAMED, Judgement, Specimen


class ImageSpecimen(Specimen):
    """An image; its parts are its regions, also known by their position."""

    kind = "region"

    @property
    def parts(self) -> list[str]:
        return self.regions

    def samples(self) -> Any:
        return [self.finding.folder / "input.png"]

    def mask(self, region: str | None = None, part: str | None = None) -> Any:
        name = region or part
        if name is None:
            return None
        return [region_mask(self.finding.folder, self.finding.regions, self.place(name, self.regions, "region"))]

    def box_mask(self, box: Sequence[int]) -> Any:
        return [filled_box(self.finding, box)]

    def level(self) -> np.ndarray:
        return np.asarray(self.detector.anomaly_map(self.samples())[0], float)

    def named(self) -> np.ndarray:
        """All regions, a little wider, as the detector repairs them."""
        masks = [region_mask(self.finding.folder, self.finding.regions, i) for i in range(len(self.regions))]
        named = np.any(masks, axis=0)
        return ndimage.binary_dilation(named, iterations=max(2, named.shape[0] // 64))

    def trials(self, masks: Sequence[np.ndarray]) -> list[Judgement]:
        repaired = self.detector.counterfactual(self.samples() * len(masks), where=list(masks))
        return self._judged(repaired)

    def place(self, name: str, known: Sequence[str], what: str) -> int:
        positions = [str(region.get("position", "")).casefold() for region in self.finding.regions]
        low = str(name).strip().casefold()
        return positions.index(low) if low in positions else super().place(name, known, what)

    def keep(self, normal: Any) -> None:
        self._keep(normal[0], "counterfactual.png")

    def keep_trial(self, repaired: Any, box: Sequence[int]) -> Path:
        return self._keep(repaired[0], f"repaired-{'-'.join(str(v) for v in box_in(self.finding, box))}.png")

    def _keep(self, pixels: Any, name: str) -> Path:
        from PIL import Image

        picture = Image.fromarray(np.asarray(pixels, np.uint8))
        path = self.finding.folder / name
        write(path, lambda file: picture.save(file, "PNG", compress_level=3))
        return path


class VideoSpecimen(ImageSpecimen):
    """The frames around an event's peak; the peak's score is the finding's, its regions can be repaired."""

    def __init__(self, finding: Finding, detector: Any) -> None:
        super().__init__(finding, detector)
        self.excerpt = load_excerpt(finding.folder)

    @property
    def rows(self) -> slice:
        peak = self.excerpt.peak - self.excerpt.first
        return slice(peak, peak + 1)

    def samples(self) -> Any:
        return self.excerpt.frames

    def mask(self, region: str | None = None, part: str | None = None) -> Any:
        """A region moves: in the frames around it, it is what is odd there and touches its place."""
        still = super().mask(region, part)
        if still is None:
            return None
        near = ndimage.binary_dilation(still[0], iterations=max(2, still[0].shape[0] // 16))
        masks = np.zeros(self.excerpt.frames.shape[:3], bool)
        for number, level in enumerate(np.asarray(self.detector.anomaly_map(self.excerpt.frames))):
            labels, _ = ndimage.label(level >= 1)
            masks[number] = np.isin(labels, np.unique(labels[near & (labels > 0)])) & (labels > 0)
        masks[self.rows] |= still[0]
        return masks

    def box_mask(self, box: Sequence[int]) -> Any:
        """The same box in every frame that is kept: what is in it may have come from before."""
        return np.broadcast_to(filled_box(self.finding, box), self.excerpt.frames.shape[:3]).copy()

    def level(self) -> np.ndarray:
        return np.asarray(self.detector.anomaly_map(self.samples()), float)

    def named(self) -> np.ndarray:
        """Every region, followed through the frames around it."""
        return np.any([self.mask(name) for name in self.regions], axis=0)

    def trials(self, masks: Sequence[np.ndarray]) -> list[Judgement]:
        return Specimen.trials(self, masks)

    def keep(self, normal: Any) -> None:
        super().keep(normal[self.rows])

    def keep_trial(self, repaired: Any, box: Sequence[int]) -> Path:
        return super().keep_trial(repaired[self.rows], box)


class SeriesSpecimen(Specimen):
    """An event of a series with its surroundings; its parts are the channels."""

    kind = "channel"

    def __init__(self, finding: Finding, detector: Any) -> None:
        super().__init__(finding, detector)
        self.stretch = load_stretch(finding.folder)

    @property
    def parts(self) -> list[str]:
        return list(self.stretch.channels)

    @property
    def rows(self) -> slice:
        return self.stretch.rows

    def samples(self) -> Any:
        import pandas as pd

        times = self.stretch.times
        index = pd.DatetimeIndex(times) if len(times) else pd.RangeIndex(len(self.stretch.observed))
        return pd.DataFrame(self.stretch.observed, columns=list(self.stretch.channels), index=index)

    def mask(self, region: str | None = None, part: str | None = None) -> Any:
        mask = np.zeros(self.stretch.observed.shape, bool)
        chosen = range(len(self.regions)) if region is None else [self.place(region, self.regions, "interval")]
        for number in chosen:
            interval = self.finding.regions[number]
            rows = slice(interval["start"] - self.stretch.start, interval["end"] - self.stretch.start)
            mask[rows, self._columns(part, interval.get("channels", ()))] = True
        return mask

    def rows_mask(self, rows: Sequence[int], part: str | None = None) -> Any:
        mask = np.zeros(self.stretch.observed.shape, bool)
        mask[kept_rows(self.finding, self.stretch, rows), self._columns(part, ())] = True
        return mask

    def _columns(self, part: str | None, guilty: Sequence[str]) -> list[int]:
        if part is not None:
            return [self.place(part, self.parts, "channel")]
        return [self.parts.index(name) for name in guilty if name in self.parts] or list(range(len(self.parts)))

    def repairs(self) -> Iterator[Any]:
        """The most guilty channel, then the two most guilty, ..., around the event as far as its windows feel it."""
        ranked = [str(part["name"]) for part in self.finding.parts if part["share"] >= GUILTY][:MOST_CHANNELS]
        margin = int(self.detector.info()["window"]) // 4
        rows = slice(max(0, self.rows.start - margin), self.rows.stop + margin)
        mask = np.zeros(self.stretch.observed.shape, bool)
        for name in ranked:
            if name in self.parts:
                mask[rows, self.parts.index(name)] = True
                yield mask.copy()
        if not mask.any():
            yield self.mask()

    def named(self) -> np.ndarray:
        return self.first_named()[-1]

    def first_named(self) -> list[np.ndarray]:
        """The guiltiest channel over the event, and around it as far as its windows feel it; then with the next, ..."""
        margin = int(self.detector.info()["window"]) // 2
        guilty = [str(name) for region in self.finding.regions for name in region.get("channels") or ()]
        mask = np.zeros(self.stretch.observed.shape, bool)
        rows = slice(max(0, self.rows.start - margin), self.rows.stop + margin)
        found = []
        for name in list(dict.fromkeys(guilty))[:MOST_NAMED]:
            if name in self.parts:
                mask[rows, self.parts.index(name)] = True
                found.append(mask.copy())
        mask[rows] = True
        return found or [mask]

    def near(self) -> np.ndarray:
        """The event's rows and those around them that are as long together."""
        length = self.rows.stop - self.rows.start + int(self.detector.info()["window"])
        mask = np.zeros(self.stretch.observed.shape, bool)
        mask[max(0, self.rows.start - length) : self.rows.stop + length] = True
        return mask

    def without(self, part: str) -> Any:
        mask = np.zeros(self.stretch.observed.shape, bool)
        mask[:, self.place(part, self.parts, "channel")] = True
        return mask

    def keep(self, normal: Any) -> None:
        expected = np.asarray(normal, np.float64)
        path = self.finding.folder / "counterfactual.npz"
        write(path, lambda file: np.savez_compressed(file, expected=expected))


class TableSpecimen(Specimen):
    """A row of a table; its parts are the features."""

    kind = "feature"

    def __init__(self, finding: Finding, detector: Any, table: Any) -> None:
        super().__init__(finding, detector)
        self.row = table.iloc[[finding.index]]

    @property
    def parts(self) -> list[str]:
        return [str(name) for name in self.row.columns]

    def samples(self) -> Any:
        return self.row

    def mask(self, region: str | None = None, part: str | None = None) -> Any:
        name = part or region
        if name is None:
            return None
        features = [str(feature) for feature in self.detector.info()["features"]]
        mask = np.zeros((1, len(features)), bool)
        mask[0, self.place(name, features, "feature")] = True
        return mask

    def named(self) -> np.ndarray:
        return self.first_named()[-1]

    def first_named(self) -> list[np.ndarray]:
        """The guiltiest feature, in the table's own order of columns; then with the next, ..."""
        found, chosen = [], set()
        for name in self.regions[:MOST_NAMED]:
            chosen.add(name)
            found.append(np.array([[one in chosen for one in self.parts]]))
        return found

    def trials(self, masks: Sequence[np.ndarray]) -> list[Judgement]:
        import pandas as pd

        rows = pd.concat([self.row] * len(masks))
        return self._judged(self.detector.counterfactual(rows, where=np.vstack(masks)))

    def keep(self, normal: Any) -> None:
        values = {str(name): plain(normal[name].iloc[0]) for name in normal.columns}
        keep_json(self.finding.folder / "counterfactual.json", values)
