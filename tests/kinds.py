"""What the contract test must know of each modality: its tiny set, its places, and how two samples are compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from conftest import TinySet
from PIL import Image


class Kind:
    """A table; the others say where they differ. Samples, masks and maps are in the modality's own form."""

    data = "tiny_table"  # the fixture
    small: dict[str, Any] = {}  # settings that make a fit on tiny data fast
    in_time = False  # samples follow each other: one alone means nothing, and detections are runs of them

    def last(self, test: Any) -> Any:
        """The last sample alone."""
        return test.iloc[-1:]

    def hits(self, maps: Any, data: TinySet) -> list[bool]:
        """Whether the peak of each anomalous sample's map lies in the planted place (by chance: about 20 %)."""
        names = list(data.test.columns)
        return [names[int(np.argmax(np.asarray(maps)[i]))] in self.tied(place) for i, place in data.where.items()]

    def tied(self, place: str) -> set[str]:
        """Breaking amount = quantity x price casts doubt on what it was tied to as well."""
        return {"amount", "tax"}

    def odd(self, data: TinySet) -> tuple[Any, Any]:
        """The anomalous samples, and masks of their planted places."""
        rows = list(data.anomalous)
        return data.test.iloc[rows], frame_mask(data)[rows]

    def judged(self, scores: np.ndarray, data: TinySet) -> np.ndarray:
        """Of the scores of `odd` those of anomalous samples."""
        return scores

    def same_outside(self, odd: Any, where: Any, normal: Any) -> None:
        """Asserts that a normal version is the input outside the masks."""
        assert list(normal.columns) == list(odd.columns)
        for column in range(odd.shape[1]):
            kept = ~where[:, column]
            pd.testing.assert_series_equal(normal.iloc[kept, column], odd.iloc[kept, column])

    def keep(self, samples: Any, file: Path) -> None:
        """Samples in a file that `READ` reads in another process."""
        samples.to_parquet(file)


class ImageKind(Kind):
    """Pictures; a peak hits by chance in about 4 %."""

    data = "tiny_images"
    small = {"size": 48}

    def last(self, test: Any) -> Any:
        return test[-1:]

    def hits(self, maps: Any, data: TinySet) -> list[bool]:
        return list(box_hits(maps, data.where))

    def odd(self, data: TinySet) -> tuple[Any, Any]:
        return [data.test[i] for i in data.anomalous], [box_mask(data.where[i], (48, 48)) for i in data.anomalous]

    def same_outside(self, odd: Any, where: Any, normal: Any) -> None:
        for path, mask, picture in zip(odd, where, normal, strict=True):
            assert np.array_equal(np.asarray(Image.open(path))[~mask], picture[~mask])

    def keep(self, samples: Any, file: Path) -> None:
        file.write_text(json.dumps([str(path) for path in samples]))


class SeriesKind(Kind):
    """A frame of time stamps; of three channels a peak hits one by chance in 33 %, or what it is tied to."""

    data = "tiny_series"
    small = {"window": 32}
    in_time = True

    def tied(self, place: str) -> set[str]:
        return {place, "speed_rpm"}

    def odd(self, data: TinySet) -> tuple[Any, Any]:
        return data.test, frame_mask(data)

    def judged(self, scores: np.ndarray, data: TinySet) -> np.ndarray:
        return scores[list(data.anomalous)]

    def same_outside(self, odd: Any, where: Any, normal: Any) -> None:
        assert isinstance(normal, pd.DataFrame)
        assert normal.index.equals(odd.index)
        assert np.array_equal(normal.to_numpy()[~where], odd.to_numpy()[~where])


class VideoKind(Kind):
    """A clip (frame, h, w); a peak hits by chance in about 13 %."""

    data = "tiny_video"
    small = {"size": 48, "smooth": 3}  # what is planted lasts twelve frames
    in_time = True

    def hits(self, maps: Any, data: TinySet) -> list[bool]:
        return list(box_hits(maps, data.where))

    def odd(self, data: TinySet) -> tuple[Any, Any]:
        where = np.zeros(data.test.shape, bool)
        for frame, box in data.where.items():
            where[frame] = box_mask(box, data.test.shape[1:])
        return data.test, where

    def judged(self, scores: np.ndarray, data: TinySet) -> np.ndarray:
        return scores[list(data.anomalous)]

    def same_outside(self, odd: Any, where: Any, normal: Any) -> None:
        assert normal.shape == odd.shape
        assert normal.dtype == np.uint8
        assert np.array_equal(normal[~where], odd[~where])

    def keep(self, samples: Any, file: Path) -> None:
        with file.open("wb") as out:
            np.save(out, samples)


class MultimodalKind(Kind):
    """A dict of a series, images and a table, in time. A place is (part, channel). Where a channel was torn, it must be
    the oddest of its part, and above the level of normals; where parts do not fit each other, one of them must be."""

    data = "tiny_multimodal"
    small = {"components": 8, "window": 1}
    in_time = True

    def hits(self, maps: Any, data: TinySet) -> list[bool]:
        found = []
        for step, (part, channel) in data.where.items():
            if channel is None:
                found.append(any(np.max(own[step]) > 1 for own in maps.values()))
                continue
            row = np.asarray(maps[part][step])
            found.append(bool(row.max() > 1) and data.test[part].columns[int(row.argmax())] == channel)
        return found

    def odd(self, data: TinySet) -> tuple[Any, Any]:
        steps = len(data.test["log"])
        where = {"sensors": np.zeros((steps, 2), bool), "camera": [np.zeros((24, 24), bool) for _ in range(steps)]}
        for step, (part, channel) in data.where.items():
            if channel:
                where[part][step, list(data.test[part].columns).index(channel)] = True
            else:
                where[part][step][:] = True
        return data.test, where

    def judged(self, scores: np.ndarray, data: TinySet) -> np.ndarray:
        return scores[list(data.anomalous)]

    def same_outside(self, odd: Any, where: Any, normal: Any) -> None:
        assert set(normal) == set(odd)
        pd.testing.assert_frame_equal(normal["log"], odd["log"])
        assert np.array_equal(
            normal["sensors"].to_numpy()[~where["sensors"]], odd["sensors"].to_numpy()[~where["sensors"]]
        )
        for mask, before, after in zip(where["camera"], odd["camera"], normal["camera"], strict=True):
            assert np.array_equal(before[~mask], after[~mask])

    def keep(self, samples: Any, file: Path) -> None:
        log = samples["log"]
        arrays = {"camera": np.stack(samples["camera"]), "sensors": samples["sensors"].to_numpy()}
        arrays |= {"count": log["count"].to_numpy(), "mode": log["mode"].to_numpy(str)}
        with file.open("wb") as out:
            np.savez(out, **arrays)


KINDS: dict[str, Kind] = {
    "image": ImageKind(),
    "series": SeriesKind(),
    "table": Kind(),
    "video": VideoKind(),
    "multimodal": MultimodalKind(),
}

# reads what `keep` wrote, told apart by the first bytes
READ = (
    "def read(file):\n"
    "    raw = file.read_bytes()\n"
    "    if raw[:4] == b'PAR1':\n"
    "        return pd.read_parquet(file)\n"
    "    if raw[:2] == b'PK':\n"
    "        kept = np.load(file)\n"
    "        sensors = pd.DataFrame(kept['sensors'], columns=['force_kn', 'current_a'])\n"
    "        log = pd.DataFrame({'count': kept['count'], 'mode': kept['mode'].astype(object)})\n"
    "        return {'sensors': sensors, 'camera': list(kept['camera']), 'log': log}\n"
    "    return np.load(file) if raw[1:6] == b'NUMPY' else json.loads(raw)\n"
)


def box_hits(maps: Any, where: dict[int, Any]) -> Iterator[bool]:
    for index, (left, top, right, bottom) in where.items():
        row, column = np.unravel_index(np.argmax(maps[index]), maps[index].shape)
        yield bool(left - 5 <= column < right + 5 and top - 5 <= row < bottom + 5)


def box_mask(box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def frame_mask(data: TinySet) -> np.ndarray:
    mask = np.zeros(data.test.shape, bool)
    for row, column in data.where.items():
        mask[row, list(data.test.columns).index(column)] = True
    return mask
