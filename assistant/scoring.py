"""Scores a batch and lays out what each finding keeps, before anything has an id. One function a modality.

Knows detectors by their interface, sources and folders; imports neither detectors nor the database. `SCORERS` maps a
modality to its function: `Job` in, `Batch` out, the findings' folders staged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from assistant import keeping
from assistant.keeping import clips, parts
from assistant.kinds import Kinds, leading_numbers
from assistant.modalities import kind
from assistant.records import NewFinding
from detectors.errors import AnomalyError

Progress = Callable[[float, str], None]
CHUNK = 64  # images scored, and their maps held, at a time
NOTHING = 1e-300  # an alpha below every p-value


def silent(_fraction: float, _message: str) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Seen:
    """A sample of a batch under way that is flagged, shown before the batch is done."""

    name: str
    p_value: float  # as it will be at the end: it does not depend on the rest of the batch
    settled: bool  # whether it is flagged for good; with an FDR only the whole batch tells
    draw: Callable[[], bytes] | None = None  # a small picture of it


def unseen(_one: Seen) -> None:
    """Nobody looks."""


@dataclass(frozen=True)
class Job:
    """What is to be scored, and with what."""

    detector: Any  # detectors.Detector
    data: Any  # detectors.data.Source
    alpha: float
    fdr: float | None
    cut: Callable[[np.ndarray, float], float]  # (p-values, fdr) -> the largest p-value that is flagged
    open_image: Callable[[Any], np.ndarray]
    staging: Path
    tell: Progress
    kinds: Kinds = field(default_factory=Kinds)
    offset: int = 0  # samples that the run holds before `data`: a run that grows counts them all
    wanted: Callable[[int, int], bool] = lambda first, end: True  # which events count, by their samples in the run
    show: Callable[[Seen], None] = unseen  # called with what is flagged, as it comes (images)

    def taken(self, detections: Any) -> list[Any]:
        """The detections that count."""
        if not kind(self.data.modality).event:
            return [d for d in detections if self.wanted(d.index + self.offset, d.index + self.offset + 1)]
        return [d for d in detections if self.wanted(*(row + self.offset for row in span(d)))]


def span(detection: Any) -> tuple[int, int]:
    """First sample and one past the last of an event: its own rows, or those of its first region (clips)."""
    first = detection.regions[0] if detection.regions else None
    if first is not None and first.start is not None and first.end is not None:
        return first.start, first.end
    return detection.index, detection.index + len(detection.map)


@dataclass
class Batch:
    """What scoring gave, on its way into the store."""

    names: list[str]  # of the samples; none in a series
    scores: np.ndarray
    p_values: np.ndarray
    alpha: float  # the p-value up to which samples were flagged
    findings: list[NewFinding] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)  # staged, one a finding
    skipped: list[tuple[str, str]] = field(default_factory=list)
    fitted_p: np.ndarray | None = None  # p-values without labels, where labels count

    def add(self, job: Job, detection: Any, name: str, index: int, time: str = "") -> Path:
        """Take up a detection; returns the folder for what it keeps."""
        told = moved(keeping.plain(detection.to_dict()), job.offset)
        folder = job.staging / f"finding-{len(self.findings)}"
        judged = None
        if told["measures"]:
            keeping.keep_measures(folder, told["measures"])
            judged = job.kinds.judge(job.data.modality, leading_numbers(told["measures"]))
        finding = NewFinding(
            sample=name,
            index=index + job.offset,
            score=detection.score,
            p_value=detection.p_value,
            extrapolated=bool(detection.extrapolated),
            regions=told["regions"],
            parts=told["parts"],
            signature=np.asarray(detection.signature, "<f4").tobytes(),
            time=time,
            kind=judged.kind if judged else "",
            kind_confidence=judged.confidence if judged else None,
            stability=told["stability"],
        )
        self.findings.append(finding)
        self.folders.append(folder)
        return folder


def moved(told: dict[str, Any], offset: int) -> dict[str, Any]:
    """What is told of a detection, with `offset` samples before it."""
    for region in told["regions"] if offset else ():
        region |= {key: region[key] + offset for key in ("start", "end", "frame") if region.get(key) is not None}
    return told


# --- images -------------------------------------------------------------------------------------------------------


def score_images(job: Job) -> Batch:
    """Images, a few at a time, so that their maps fit in memory; one that does not fit the model is skipped.

    Raises:
        AnomalyError: not one image can be scored.
    """
    batch, tell = Batch([], np.zeros(0), np.zeros(0), job.alpha), job.tell
    if job.fdr is not None:
        looking, tell = _within(tell, 0.0, 0.5), _within(tell, 0.5, 0.5)
        known = [np.zeros(0)]
        for numbers, assessment in _chunks(job, NOTHING, [], looking):
            known.append(assessment.p_values)
            _show_open(job, numbers, assessment.p_values)
        batch.alpha = job.cut(np.concatenate(known), job.fdr)
    scores, p_values = [batch.scores], [batch.p_values]
    for numbers, found in _chunks(job, batch.alpha, batch.skipped, tell):
        for detection in job.taken(found.detections):
            number = numbers[detection.index]
            folder = batch.add(job, detection, job.data.names[number], len(batch.names) + detection.index)
            masks = [region.mask for region in detection.regions]
            keeping.keep_image(folder, job.open_image(job.data.samples[number]), detection.map, masks)
            drawn = partial(_thumbnail, folder / "input.png", detection.map)
            job.show(Seen(job.data.names[number], detection.p_value, True, drawn))
        batch.names += [job.data.names[number] for number in numbers]
        scores.append(found.scores)
        p_values.append(found.p_values)
    if not batch.names:
        name, reason = batch.skipped[0]
        raise AnomalyError(f"None of the {len(job.data.samples)} images can be scored; {name!r}: {reason}")
    batch.scores, batch.p_values = np.concatenate(scores), np.concatenate(p_values)
    return batch


def _show_open(job: Job, numbers: Sequence[int], p_values: np.ndarray) -> None:
    """Show the images at or below alpha, of which the false-discovery control may keep fewer or more."""
    for number, p in zip(numbers, p_values.tolist(), strict=True):
        if p <= job.alpha:
            drawn = partial(_thumbnail, job.data.samples[number], None, job.open_image)
            job.show(Seen(job.data.names[number], p, False, drawn))


def _thumbnail(picture: Any, level: np.ndarray | None, opened: Callable[[Any], Any] = lambda path: path) -> bytes:
    from assistant import figures

    return figures.thumbnail(opened(picture)) if level is None else figures.heat_thumbnail(opened(picture), level)


def _chunks(job: Job, alpha: float, skipped: list[tuple[str, str]], tell: Progress) -> Iterator[tuple[list[int], Any]]:
    """(numbers of images, their assessment)."""
    total = len(job.data.samples)
    for first in range(0, total, CHUNK):
        numbers = list(range(first, min(first + CHUNK, total)))
        yield from _assessable(job, numbers, alpha, skipped, _within(tell, first / total, len(numbers) / total))
        tell((first + len(numbers)) / total, "scoring")


def _within(tell: Progress, start: float, share: float) -> Progress:
    """Progress of a part as progress of the whole; whoever waits can stop there, too."""
    return lambda fraction, message: tell(start + share * min(1.0, fraction), message)


def _assessable(
    job: Job, numbers: list[int], alpha: float, skipped: list[tuple[str, str]], tell: Progress
) -> Iterator[tuple[list[int], Any]]:
    """A chunk in one go; where it holds an image that does not fit, halves of it, down to that image."""
    try:
        yield numbers, job.detector.assess([job.data.samples[i] for i in numbers], alpha, progress=tell)
    except AnomalyError as error:
        if len(numbers) == 1:
            skipped.append((job.data.names[numbers[0]], str(error)))
            return
        middle = len(numbers) // 2
        for half in (numbers[:middle], numbers[middle:]):
            yield from _assessable(job, half, alpha, skipped, tell)


# --- series -------------------------------------------------------------------------------------------------------


def score_series(job: Job) -> Batch:
    """A series; its findings are events, each kept with its surroundings."""
    frame, info = job.data.samples, job.detector.info()
    found, batch = _assessed(job, [])
    for detection in job.taken(found.detections):
        start_time = detection.regions[0].start_time if detection.regions else None
        first = detection.index + job.offset
        name = f"{first}..{first + len(detection.map)}" if job.offset else detection.sample
        folder = batch.add(job, detection, name, detection.index, start_time or "")
        stretch = _stretch(info, detection, frame, batch)
        keeping.keep_stretch(folder, replace(stretch, start=stretch.start + job.offset, event=_on(stretch.event, job)))
    keeping.keep_frame(job.staging / "series.parquet", frame)
    kept = {"scores": batch.scores, "p_values": batch.p_values}
    keeping.write(job.staging / "scores.npz", lambda file: np.savez_compressed(file, **kept))  # type: ignore[arg-type]
    return batch


def _on(rows: tuple[int, int], job: Job) -> tuple[int, int]:
    return rows[0] + job.offset, rows[1] + job.offset


def _assessed(job: Job, names: list[str]) -> tuple[Any, Batch]:
    found = job.detector.assess(job.data.samples, job.alpha, fdr=job.fdr, progress=job.tell)
    scores, p_values = np.asarray(found.scores, float), np.asarray(found.p_values, float)
    alpha = job.alpha if job.fdr is None else job.cut(p_values, job.fdr)
    return found, Batch(names, scores, p_values, alpha)


def _stretch(info: dict[str, Any], detection: Any, frame: Any, batch: Batch) -> keeping.Stretch:
    event = (detection.index, detection.index + len(detection.map))
    grid = max(1, info["window"] // info["settings"].get("overlap", 1))
    first, last = keeping.around(event, info["window"], len(frame), grid)
    part = frame.iloc[first:last][[c for _, c in sorted(_places(frame, info["channels"]))]]
    return keeping.Stretch(
        start=first,
        event=event,
        observed=part.to_numpy(np.float64, na_value=np.nan),
        channels=tuple(str(name) for name in part.columns),
        times=part.index.to_numpy("datetime64[ns]") if part.index.dtype.kind == "M" else np.zeros(0, "datetime64[ns]"),
        scores=batch.scores[first:last],
        p_values=batch.p_values[first:last],
        map=detection.map,
    )


def _places(frame: Any, channels: list[str]) -> list[tuple[int, Any]]:
    """(place in the model, column) of the columns that the model knows; maps and masks follow the model's order."""
    order = {name: place for place, name in enumerate(channels)}
    return [(order[str(column)], column) for column in frame.columns if str(column) in order]


# --- tables -------------------------------------------------------------------------------------------------------


def score_table(job: Job) -> Batch:
    """A table; its findings are rows."""
    frame, features = job.data.samples, [str(name) for name in job.detector.info()["features"]]
    found, batch = _assessed(job, list(job.data.names))
    for detection in job.taken(found.detections):
        folder = batch.add(job, detection, batch.names[detection.index], detection.index)
        values = {str(name): value for name, value in frame.iloc[detection.index].items()}
        level = dict(zip(features, np.asarray(detection.map).ravel().tolist(), strict=True))
        keeping.keep_json(folder / "row.json", {"values": values, "map": level})
    keeping.keep_frame(job.staging / "table.parquet", frame)
    return batch


# --- clips --------------------------------------------------------------------------------------------------------


def score_video(job: Job) -> Batch:
    """Clips; their findings are runs of frames, each kept with its peak frame and the frames around it."""
    found, batch = _assessed(job, [])
    lengths = [len(clip) for clip in job.data.samples]
    offsets = np.cumsum([0, *lengths])
    batch.names = [
        f"frame {n + job.offset}" if len(lengths) == 1 else f"{clip.name}, frame {n}"
        for clip in job.data.samples
        for n in range(len(clip))
    ]
    for detection in job.taken(found.detections):
        number = int(np.searchsorted(offsets, detection.index, side="right")) - 1
        clip, region = job.data.samples[number], detection.regions[0]
        start, end = (row + job.offset for row in span(detection))
        name = f"frames {start} to {end - 1}" if job.offset else detection.sample
        folder = batch.add(job, detection, name, detection.index)
        masks = [one.mask for one in detection.regions]
        keeping.keep_image(folder, clip.frame(region.frame), detection.map, masks)
        scores = slice(int(offsets[number]), int(offsets[number + 1]))
        excerpt = _excerpt(job, clip, region, batch.scores[scores], batch.p_values[scores])
        if found.maps is not None:
            around = [*range(excerpt.first, excerpt.first + len(excerpt.frames)), *excerpt.strip_frames]
            maps, numbers = clips.small_maps(found.maps[scores], around)
            excerpt = replace(excerpt, maps=maps, map_frames=numbers)
        clips.keep_excerpt(folder, clips.moved(excerpt, job.offset))
    kept = {"scores": batch.scores, "p_values": batch.p_values, "offsets": offsets}
    keeping.write(job.staging / "scores.npz", lambda file: np.savez_compressed(file, **kept))  # type: ignore[arg-type]
    return batch


def _excerpt(job: Job, clip: Any, region: Any, scores: np.ndarray, p_values: np.ndarray) -> clips.Excerpt:
    """What an event keeps; `scores` and `p_values` are those of its clip."""
    settings = job.detector.info()["settings"]
    reach = settings["smooth"] + max(settings["lag"], *settings["lags"]) + 1
    first, last = max(0, region.frame - reach), min(len(clip), region.frame + reach + 1)
    begin, stop = max(0, region.start - clips.AROUND), min(len(clip), region.end + clips.AROUND)
    shown = clips.strip_numbers((region.start, region.end), region.frame)
    return clips.Excerpt(
        frames=np.stack([clip.frame(n) for n in range(first, last)]),
        first=first,
        peak=region.frame,
        event=(region.start, region.end),
        strip=np.stack([clips.small(clip.frame(n)) for n in shown]),
        strip_frames=np.array(shown),
        begin=begin,
        scores=scores[begin:stop],
        p_values=p_values[begin:stop],
    )


# --- several parts --------------------------------------------------------------------------------------------------


def score_multimodal(job: Job) -> Batch:
    """Aligned parts; their findings are runs of steps (rows: single ones), each kept with a stretch of every part."""
    found, batch = _assessed(job, [])
    recordings = job.data.samples if isinstance(job.data.samples, list) else [job.data.samples]
    offsets = np.cumsum([0, *(len(next(iter(one.values()))) for one in recordings)])
    batch.names = [f"step {step}" for step in range(len(batch.scores))]
    info = job.detector.info()
    for detection in found.detections:
        number = int(np.searchsorted(offsets, detection.index, side="right")) - 1
        start_time = next((r.start_time for r in detection.regions if r.start_time), None)
        folder = batch.add(job, detection, detection.sample, detection.index, start_time or "")
        event = (detection.index, detection.index + len(detection.map))
        begin = int(offsets[number])
        length = int(offsets[number + 1]) - begin
        first, last = keeping.around((event[0] - begin, event[1] - begin), int(info["settings"]["window"]), length)
        told = {p: parts.stretch_of(s, first, last, job.open_image) for p, s in recordings[number].items()}
        excerpt = parts.Excerpt(told, info["parts"], begin + first, event)
        parts.keep_parts(folder, excerpt)
        keeping.keep_stretch(folder, _side_by_side(job, detection, excerpt, batch))
        _keep_picture(folder, detection, excerpt)
    if batch.findings:
        calm = np.isfinite(batch.scores) & (batch.p_values > batch.alpha)
        parts.keep_usual(job.staging, recordings, np.flatnonzero(calm))
    kept = {"scores": batch.scores, "p_values": batch.p_values, "offsets": offsets}
    keeping.write(job.staging / "scores.npz", lambda file: np.savez_compressed(file, **kept))  # type: ignore[arg-type]
    return batch


def _side_by_side(job: Job, detection: Any, excerpt: parts.Excerpt, batch: Batch) -> keeping.Stretch:
    """All numbers of the parts, on one clock."""
    rows = len(next(iter(excerpt.parts.values())))
    observed, labels = parts.numbers(excerpt.parts, rows)
    steps = slice(excerpt.start, excerpt.start + rows)
    indices = [samples.index for samples in excerpt.parts.values() if hasattr(samples, "iloc")]
    clock = next((index for index in indices if index.dtype.kind == "M"), None)
    return keeping.Stretch(
        start=excerpt.start,
        event=excerpt.event,
        observed=observed,
        channels=tuple(parts.names_of(labels)),
        times=np.zeros(0, "datetime64[ns]") if clock is None else clock.to_numpy("datetime64[ns]"),
        scores=batch.scores[steps],
        p_values=batch.p_values[steps],
        map=np.zeros((len(detection.map), len(labels))),
    )


def _keep_picture(folder: Path, detection: Any, excerpt: parts.Excerpt) -> None:
    """The picture of the guiltiest part that has some, where the event peaks, with the place in it."""
    for region in detection.regions:
        picture = None
        if region.box is not None:
            row = excerpt.rows.start + int(np.argmax(detection.map.sum(1)))
            picture = parts.picture_at(excerpt.parts[region.name], row)
        if picture is not None:
            keeping.keep_part_picture(folder, np.asarray(picture, np.uint8), region.name, region.box)
            return


SCORERS: dict[str, Callable[[Job], Batch]] = {
    "image": score_images,
    "series": score_series,
    "table": score_table,
    "video": score_video,
    "multimodal": score_multimodal,
}
