"""Clips: frames to cells of past, appearance and motion, and back to maps, spans with boxes, and mended frames.

Knows clips, places and speeds; not methods, thresholds or p-values. Frames are read when they are needed and let go
again. What a picture holds is the image modality's business; this one adds what moves, and what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, median_filter
from torch import Tensor

from detectors.data import Source
from detectors.detection import Part
from detectors.errors import AnomalyError
from detectors.localization import regions_mask
from detectors.localization_video import carriers, descriptor, runs, spans
from detectors.method import Space
from detectors.modalities.base import Event, Items, Modality
from detectors.modalities.image import ImageModality, Pictures, cells_touched, enlarged
from detectors.modalities.series import autocorrelation_time
from detectors.motion import CHANNELS, cell_motion, grey, perspective
from detectors.readers.videos import Clip, open_clips
from detectors.training import Run

LEARN_FROM = 200  # pairs of frames that scales of motion are learned from
MOTION_AREA = 160 * 160  # pixels that the flow is worked out on, at most
GROUPS = (("motion", 2), ("course", 3))  # of motion's channels, in their order
FAINT_PAST = 0.3  # the past is laid small: methods that weigh channels alike listen to the present


@dataclass
class Footage:
    """Frames of clips; every frame of every clip has a number, counted through the clips."""

    clips: list[Clip]
    offsets: np.ndarray  # (clip + 1,) number of each clip's first frame
    pictures: Items  # every frame, as the image modality takes them
    frames: np.ndarray  # (item,) numbers of the frames that are asked about
    form: str  # "clip" | "clips" | "frames": what is given back is shaped like it

    def clip_of(self, number: int) -> int:
        return int(np.searchsorted(self.offsets, number, side="right")) - 1

    def name(self, number: int) -> str:
        """ "frame 7", with its clip's name where there are several."""
        clip = self.clip_of(number)
        own = f"frame {number - self.offsets[clip]}"
        return own if len(self.clips) == 1 else f"{self.clips[clip].name}, {own}"

    def before(self, numbers: np.ndarray, lag: int) -> np.ndarray:
        """Numbers of the frames `lag` earlier, within the clip."""
        first = self.offsets[np.searchsorted(self.offsets, numbers, side="right") - 1]
        return np.maximum(numbers - lag, first)


@dataclass(frozen=True)
class Frame:
    """Where a picture of footage comes from."""

    clip: Clip
    number: int


class _Frames(ImageModality):
    """Pictures that are frames of clips."""

    name = ""  # not a modality of its own

    def picture(self, items: Items, row: int) -> np.ndarray:
        source = items.data.sources[row]
        return source.clip.frame(source.number) if isinstance(source, Frame) else source


class VideoModality(Modality):
    """Clips of a camera; every frame is a sample, seen with what came before it.

    Cells hold four groups of channels: "past" (appearance `lags` frames ago, laid small), "appearance" (pixels or a
    backbone's layers, see the image modality: backbone, size, components, layers, aligned), "motion" (how fast and how
    much, from optical flow against the frame `lag` ago) and "course" (which way, and what is not the still scene);
    speeds are told in what is usual in their row of the picture, since what is far away seems slow.
    Settings beside: past (components kept of each earlier frame), lags, lag, motion and course (weights of their
    channels), smooth (frames: maps are averaged over them with Gaussian weights, a score is the median over them,
    normals' too; 1: none), gap (unflagged frames that do not end an event).
    """

    name = "video"
    defaults: ClassVar[Mapping[str, Any]] = {
        **ImageModality.defaults,
        "by_scale": False,
        "components": 32,
        "past": 8,
        "lags": (2,),
        "lag": 1,
        "motion": 2.0,
        "course": 0.5,
        "smooth": 9,
        "gap": 5,
    }
    batch_size = 16
    min_normals = 20

    motion_scale: Tensor  # (motion channel,)
    background: Tensor  # (h, w) grey, 0..1; the still scene at motion size
    usual: Tensor  # (h',) usual speed of what moves, by row of cells

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.look = _Frames(**{key: self.settings[key] for key in ImageModality.defaults})
        self.motion_size: tuple[int, int] = (0, 0)
        self.channels = 0

    # --- samples in ------------------------------------------------------------------------------------------------
    def open(self, samples: Any) -> Items:
        clips, one = open_clips(samples.samples if isinstance(samples, Source) else samples)
        one = one or (isinstance(samples, Source) and len(clips) == 1)
        offsets = np.cumsum([0, *(len(clip) for clip in clips)])
        sources = [Frame(clip, i) for clip in clips for i in range(len(clip))]
        sizes = [clip.size for clip in clips for _ in range(len(clip))]
        footage = Footage(clips, offsets, Items(None, 0, 0), np.arange(len(sources)), "clip" if one else "clips")
        names = [footage.name(i) for i in range(len(sources))]
        footage.pictures = Items(Pictures(sources, sizes), len(sources), len(sources), names)
        return Items(footage, len(sources), len(sources), names)

    def select(self, items: Items, samples: Sequence[int]) -> Items:
        data: Footage = items.data
        frames = data.frames[np.asarray(list(samples), int)]
        names = [data.name(int(i)) for i in frames]
        return Items(
            Footage(data.clips, data.offsets, data.pictures, frames, "frames"), len(frames), len(frames), names
        )

    def split(self, items: Items, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """About a fifth is held out: whole clips where there are five or more, else the last stretch of each clip
        with a little left out before it, since neighbouring frames are nearly the same."""
        offsets = items.data.offsets
        lengths = np.diff(offsets)
        held = np.zeros(len(items), bool)
        near = np.zeros(len(items), bool)
        if len(lengths) >= 5:
            for clip in torch.randperm(len(lengths), generator=generator).tolist():
                if held.sum() < 0.2 * len(items):
                    held[offsets[clip] : offsets[clip + 1]] = True
        else:
            for end, length in zip(offsets[1:], lengths, strict=True):
                count = max(1, round(0.25 * length))
                held[end - count : end] = True
                near[end - count - max(self.settings["lags"]) : end] = True
        return np.flatnonzero(~held & ~near).tolist(), np.flatnonzero(held).tolist()

    def fit(self, items: Items, rows: Sequence[int], run: Run) -> None:
        data: Footage = items.data
        numbers = data.frames[np.asarray(rows, int)]
        self.look.fit(data.pictures, numbers.tolist(), run.part(0.0, 0.7))
        self._remember_the_still_scene()
        height, width = data.clips[0].size
        zoom = min(1.0, (MOTION_AREA / (height * width)) ** 0.5)
        self.motion_size = (max(8, round(height * zoom)), max(8, round(width * zoom)))
        chosen = numbers[:: max(1, len(numbers) // LEARN_FROM)]
        still = self._grey(data, chosen).median(0).values
        self.learn(background=still, usual=torch.ones(self.grid[0]), motion_scale=torch.ones(len(CHANNELS)))
        run.progress(0.8, "learning how things move")
        motion = torch.cat([self._motion(data, part) for part in np.array_split(chosen, -(-len(chosen) // 16))])
        self.learn(usual=perspective(motion))
        run.progress(0.95, "learning how things move")
        motion = torch.cat([self._motion(data, part) for part in np.array_split(chosen, -(-len(chosen) // 16))])
        self.learn(motion_scale=motion.square().mean((0, 2, 3)).sqrt().clamp_min(1e-3))

    def _remember_the_still_scene(self) -> None:
        """Of a camera that stands still, the scene without what moves is one of the normals that mend a frame."""
        if not self.look.aligned:
            return
        scene = self.look.gallery.float().median(0).values.round().to(torch.uint8)
        x = self.look.encode(Items(Pictures([scene.numpy()], [(scene.shape[0], scene.shape[1])]), 1, 1, ["scene"]), [0])
        self.look.learn(
            gallery=torch.cat([self.look.gallery, scene[None]]),
            gallery_x=torch.cat([self.look.gallery_x, x.half()]),
        )

    @property
    def grid(self) -> tuple[int, int]:
        return self.look.space.shape[1], self.look.space.shape[2]

    @property
    def space(self) -> Space:
        look, past = self.look.space.shape[0], self._kept_past()
        groups = (("past", past * len(self.settings["lags"])), ("appearance", look), *GROUPS)
        shape = (sum(count for _, count in groups), *self.grid)
        return Space("video", shape, self.look.aligned, groups)

    def _kept_past(self) -> int:
        return min(self.settings["past"], self.look.space.shape[0])

    def encode(self, items: Items, rows: Sequence[int]) -> Tensor:
        data: Footage = items.data
        numbers = data.frames[np.asarray(rows, int)]
        keep = self._kept_past()
        past = [self.look.encode(data.pictures, data.before(numbers, lag).tolist())[:, :keep] * FAINT_PAST
                for lag in self.settings["lags"]]  # fmt: skip
        now = self.look.encode(data.pictures, numbers.tolist())
        return torch.cat([*past, now, self._motion(data, numbers) * self._weights().view(1, -1, 1, 1)], 1)

    def _weights(self) -> Tensor:
        """What motion's channels are multiplied by: (channel,)."""
        wanted = [self.settings[name] for name, count in GROUPS for _ in range(count)]
        return torch.tensor(wanted) / self.motion_scale.cpu()

    def _motion(self, data: Footage, numbers: np.ndarray) -> Tensor:
        """Motion channels of frames before scaling: (n, channel, h', w'). A clip's first frame has the next one's."""
        lag = self.settings["lag"]
        last = data.offsets[np.searchsorted(data.offsets, numbers, side="right")] - 1
        first = data.offsets[np.searchsorted(data.offsets, numbers, side="right") - 1]
        after = np.minimum(np.maximum(numbers, first + lag), last)
        before = data.before(after, lag)
        needed, index = np.unique(np.concatenate([before, after]), return_inverse=True)
        pictures = self._grey(data, needed)
        one, two = pictures[index[: len(numbers)]], pictures[index[len(numbers) :]]
        still = self.background.cpu() if self.look.aligned else None
        motion = cell_motion(one, two, self.grid, still)
        motion[:, :4] /= self.usual.cpu().view(1, 1, -1, 1)
        return motion

    def _grey(self, data: Footage, numbers: np.ndarray) -> Tensor:
        """Frames at motion size: (n, h, w) in 0..1."""
        return torch.stack([grey(self.look.picture(data.pictures, int(i)), self.motion_size) for i in numbers])

    # --- maps out --------------------------------------------------------------------------------------------------
    def assemble(self, batches: Iterable[Tensor], items: Items, rows: Sequence[int]) -> np.ndarray:
        first = self.space.channels("past").stop
        maps = [(batch[:, first:] if batch.shape[1] > first else batch).sum(1) for batch in batches]
        if not maps:
            return np.zeros((0, *self.grid), np.float32)
        sigma = (self.settings["smooth"] - 1) / 4
        parts = np.split(torch.cat(maps).numpy(), self._breaks(items, rows))
        return np.concatenate([gaussian_filter1d(part, sigma, axis=0, mode="nearest") for part in parts])

    def _breaks(self, items: Items, rows: Sequence[int]) -> np.ndarray:
        """Where, in `rows`, a frame does not follow the one before it."""
        numbers = items.data.frames[np.asarray(rows, int)]
        clip = np.searchsorted(items.data.offsets, numbers, side="right")
        return np.flatnonzero((np.diff(numbers) != 1) | (np.diff(clip) != 0)) + 1

    def score(self, maps: np.ndarray) -> np.ndarray:
        """Mean of the highest thirtieth of cells, at least five."""
        if not len(maps):
            return np.zeros(0)
        flat = maps.reshape(len(maps), -1)
        top = min(flat.shape[1], max(5, flat.shape[1] // 30))
        return np.sort(flat, axis=1)[:, -top:].mean(1).astype(np.float64)

    def steady(self, scores: np.ndarray, items: Items, rows: Sequence[int]) -> np.ndarray:
        """Medians over neighbouring frames of the same clip that are among `rows`: one wild frame does not spread."""
        parts = np.split(scores, self._breaks(items, rows))
        return np.concatenate([median_filter(part, self.settings["smooth"], mode="nearest") for part in parts])

    def calibration_block(self, scores: np.ndarray) -> float:
        return autocorrelation_time(scores, 100)

    def level(self, maps: np.ndarray) -> float:
        return self.look.level(maps)

    def full_maps(self, maps: np.ndarray, items: Items) -> Any:
        sizes = [items.data.pictures.data.sizes[i] for i in items.data.frames]
        return _shaped([enlarged(m, size) for m, size in zip(maps, sizes, strict=True)], items.data)

    # --- places and normal versions ---------------------------------------------------------------------------------
    def events(self, flags: np.ndarray, scores: np.ndarray, maps: np.ndarray, items: Items) -> list[Event]:
        data: Footage = items.data
        found = []
        for start, end in runs(flags, data.frames, data.offsets, self.settings["gap"]):
            peak = start + int(np.argmax(scores[start:end]))
            clip = data.clip_of(int(data.frames[start]))
            first = int(data.frames[start] - data.offsets[clip])
            full = enlarged(maps[peak], data.clips[clip].size)
            regions = spans(full, first, first + end - start, first + peak - start, data.clips[clip].fps)
            last = first + end - start - 1
            name = f"frames {first} to {last}" if last > first else f"frame {first}"
            name = name if len(data.clips) == 1 else f"{data.clips[clip].name}, {name}"
            found.append(Event(name, start, peak, full, regions))
        return found

    def where(self, maps: np.ndarray, items: Items) -> list[np.ndarray]:
        return self.look.where(maps, self._as_pictures(items))

    def _as_pictures(self, items: Items) -> Items:
        return self.look.select(items.data.pictures, items.data.frames.tolist())

    def holes(self, where: Any, items: Items, rows: Sequence[int]) -> Tensor:
        """Cells of the present: what came before is kept as it was."""
        masks = _flat(where)
        if len(masks) != len(items):
            raise AnomalyError(f"There are {len(items)} frames but {len(masks)} masks; give one mask a frame.")
        for row in rows:
            size = items.data.pictures.data.sizes[items.data.frames[row]]
            if np.shape(masks[row]) != size:
                raise AnomalyError(f"The mask of frame {row} has shape {np.shape(masks[row])}; its frame has {size}.")
        cells = torch.stack([cells_touched(np.asarray(masks[r], bool), self.grid) for r in rows])[:, None]
        out = cells.repeat(1, self.space.shape[0], 1, 1)
        out[:, self.space.channels("past")] = False
        return out

    def decode(self, batches: Iterable[Tensor], items: Items, where: Any) -> Any:
        present = self.space.channels("appearance")
        looks = (batch[:, present] for batch in batches)
        return _shaped(self.look.decode(looks, self._as_pictures(items), _flat(where)), items.data)

    def describe(self, event: Event, items: Items, expected: Any) -> tuple[tuple[Part, ...], np.ndarray]:
        """Appearance (mean grey level, 0..255) and motion (pixels a frame) in the odd place, beside what is expected:
        the look of the mended frame, and the speed that is usual of what moves in those rows."""
        number, after = int(items.data.frames[event.index]), expected[event.index]
        before = self.look.picture(items.data.pictures, number)
        mask = regions_mask(event.regions, *event.map.shape)
        hole = cells_touched(mask, self.grid)
        x = self.encode(items, [event.index])[0]
        normal = self.encode(self._had_been(items, number, after, mask), [event.index])[0]
        change = (x - normal)[:, hole]
        look, motion = change[self.space.channels("appearance")], change[self.space.channels("appearance").stop :]
        seen, mended = (255 * float(grey(picture, event.map.shape)[mask].mean()) for picture in (before, after))
        evidence = (float(look.square().sum()), float(motion.square().sum()))
        usual = float(self.usual.cpu()[hole.any(1)].mean())
        parts = carriers((seen, mended), (self._speed(x, hole), usual), evidence)
        return parts, descriptor(look.mean(1), motion.mean(1), event.regions[0], event.map.shape)

    def _speed(self, x: Tensor, hole: Tensor) -> float:
        """The speed of what moves fastest in the cells `hole` of one item, in pixels of the model's frame."""
        speed = x[self.space.channels("motion")][0] / self._weights()[0]
        return float((speed * self.usual.cpu()[:, None])[hole].max())

    def _had_been(self, items: Items, number: int, picture: np.ndarray, mask: np.ndarray) -> Items:
        """The items had frame `number` been `picture`, and the frames before it like it inside `mask`."""
        data: Footage = items.data
        sources = list(data.pictures.data.sources)
        lags = {self.settings["lag"], *self.settings["lags"]}
        for earlier in {int(data.before(np.array([number]), lag)[0]) for lag in lags} - {number}:
            frame = self.look.picture(data.pictures, earlier).copy()
            frame[mask] = picture[mask]
            sources[earlier] = frame
        sources[number] = picture
        pictures = replace(data.pictures, data=Pictures(sources, data.pictures.data.sizes))
        return replace(items, data=replace(data, pictures=pictures))

    # --- saving ----------------------------------------------------------------------------------------------------
    def config(self) -> dict[str, Any]:
        return {**self.look.config(), "motion_size": list(self.motion_size)}

    def restore(self, config: Mapping[str, Any]) -> None:
        self.look.restore(config)
        height, width = config["motion_size"]
        self.motion_size = (int(height), int(width))


def _flat(where: Any) -> list[np.ndarray]:
    """One mask a frame, from an array (frame, h, w), a list of masks or a list of such arrays."""
    if isinstance(where, np.ndarray) and where.ndim == 2:
        return [where]
    return [mask for part in where for mask in (part if np.ndim(part) == 3 else [part])]


def _shaped(frames: list[np.ndarray], data: Footage) -> Any:
    """Frames as the clips they belong to: an array, a list of arrays, or (single frames) as they are."""
    if data.form == "frames":
        return frames
    if data.form == "clip":
        return np.stack(frames)
    return [np.stack(frames[a:b]) for a, b in zip(data.offsets, data.offsets[1:], strict=False)]
