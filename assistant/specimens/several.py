"""A finding over several aligned parts on the bench: its parts and channels repaired, left out, and tested.

Knows the kept excerpt of a finding and the detector it is handed; not the store, tools or language models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from assistant.keeping import load_stretch, write
from assistant.keeping.drawn import kept_rows
from assistant.keeping.parts import load_parts, names_of, numbers, picture_at
from assistant.records import Finding
from assistant.specimens.specimen import GUILTY, Judgement, Specimen
from detectors.errors import AnomalyError


class MultimodalSpecimen(Specimen):
    """An event of several parts with its surroundings. Its places are the parts; what can be repaired or left out is a
    part, or a channel of one ("acc total"). A part that is left out is taken away, not replaced."""

    kind = "part"

    def __init__(self, finding: Finding, detector: Any) -> None:
        super().__init__(finding, detector)
        self.excerpt = load_parts(finding.folder)
        self.labels = numbers(self.excerpt.parts, len(next(iter(self.excerpt.parts.values()))))[1]

    @property
    def parts(self) -> list[str]:
        return [*self.excerpt.parts, *names_of(self.labels)]

    @property
    def rows(self) -> slice:
        return self.excerpt.rows

    def samples(self) -> Any:
        return dict(self.excerpt.parts)

    def judge(self, samples: Any, member: str | None = None) -> Judgement:
        """p-values here depend on which parts there are, so that they are asked of the detector."""
        found = self.detector.assess(samples, 1e-300, member=member)
        scores, p_values = (np.asarray(v, float)[self.rows] for v in (found.scores, found.p_values))
        seen = np.isfinite(scores)
        if not seen.any():
            raise AnomalyError(f"{self.finding.id} cannot be scored again: nothing of it is left to judge.")
        return Judgement(float(scores[seen].max()), float(p_values[seen].min()))

    def place(self, name: str, known: Sequence[str], what: str) -> int:
        """As for all; what is told of a part's pictures ("camera grey level") stands for the part."""
        low = str(name).strip().casefold()
        for number, part in enumerate(known):
            if part in self.excerpt.parts and low.startswith(f"{part.casefold()} ") and self._pictured(part):
                return number
        return super().place(name, known, what)

    def proper(self, region: str | None = None, part: str | None = None) -> str:
        """A place is a part here, and a channel may be told as one."""
        return super().proper(part=part or region)

    def _pictured(self, part: str) -> bool:
        samples = self.excerpt.parts[part]
        return isinstance(samples, list) or picture_at(samples, 0) is not None

    # --- testing an explanation: a cell of a mask is a step of a channel, or of all pictures of a part ---

    def level(self) -> np.ndarray:
        maps = self.detector.anomaly_map(self.samples())
        columns = [_column(maps[part], number) for part, number in self._units()]
        return np.stack(columns, 1)

    def named(self) -> np.ndarray:
        return self.first_named()[-1]

    def first_named(self) -> list[np.ndarray]:
        """The guiltiest channel during the event, then the guiltiest part, then all that are guilty."""
        units, found = self._units(), []
        channels = [str(told["name"]) for told in self.finding.parts[:1]]
        guilty = [str(region["name"]) for region in self.finding.regions if region["share"] >= GUILTY]
        for part, names in (("", channels), *((one, []) for one in self.regions[:1])):
            chosen = [number for number, unit in enumerate(units) if self._called(unit) in names or unit[0] == part]
            found.append(self._cells(chosen))
        found.append(self._cells([number for number, (part, _) in enumerate(units) if part in guilty]))
        return [mask for n, mask in enumerate(found) if mask.any() and not any((mask == b).all() for b in found[:n])]

    def near(self) -> np.ndarray:
        """The event's steps and those around them that are as long together."""
        steps = len(next(iter(self.excerpt.parts.values())))
        length = self.rows.stop - self.rows.start + int(self.detector.info()["settings"]["window"])
        mask = np.zeros((steps, len(self._units())), bool)
        mask[max(0, self.rows.start - length) : self.rows.stop + length] = True
        return mask

    def trials(self, masks: Sequence[np.ndarray]) -> list[Judgement]:
        return [self.judge(self.repaired(self._own(mask)) if mask.any() else self.samples()) for mask in masks]

    def _units(self) -> list[tuple[str, int | None]]:
        """(part, column) of everything that a test may repair by itself; column None: the pictures of a part."""
        found: list[tuple[str, int | None]] = []
        for part, samples in self.excerpt.parts.items():
            found += [(part, None)] if self._pictured(part) else [(part, number) for number in range(_width(samples))]
        return found

    def _called(self, unit: tuple[str, int | None]) -> str:
        part, number = unit
        columns = getattr(self.excerpt.parts[part], "columns", None)
        if number is None:
            return part
        return f"{part} {columns[number] if columns is not None else f'channel {number + 1}'}"

    def _cells(self, units: Sequence[int]) -> np.ndarray:
        """Some units over the event."""
        mask = np.zeros((len(next(iter(self.excerpt.parts.values()))), len(self._units())), bool)
        mask[self.rows, list(units)] = True
        return mask

    def _own(self, mask: np.ndarray) -> dict[str, Any]:
        """A mask over steps and units in the parts' own forms; parts without a cell are left out."""
        masks: dict[str, Any] = {}
        for number, (part, column) in enumerate(self._units()):
            steps, samples = mask[:, number], self.excerpt.parts[part]
            if column is not None:
                own = masks.setdefault(part, np.zeros((len(samples), _width(samples)), bool))
                own[:, column] = steps
            elif steps.any():
                masks[part] = [
                    np.full(one.shape[:2], odd) if one is not None else None
                    for one, odd in zip(samples, steps, strict=True)
                ]
        return {part: own for part, own in masks.items() if isinstance(own, list) or own.any()}

    def mask(self, region: str | None = None, part: str | None = None) -> Any:
        name = part or region
        if name is None:
            return self._whole([str(r["name"]) for r in self.finding.regions if r["share"] >= GUILTY])
        place = self.place(name, self.parts, "part")
        if place < len(self.excerpt.parts):
            return self._whole([self.parts[place]])
        owner, channel = self.labels[place - len(self.excerpt.parts)]
        return {owner: self._channel(owner, channel)}

    def rows_mask(self, rows: Sequence[int], part: str | None = None) -> Any:
        """Masks of a stretch of steps: of one part or channel, else of all that are guilty."""
        inside = kept_rows(self.finding, load_stretch(self.finding.folder), rows)
        if part is None:
            return self._whole([str(r["name"]) for r in self.finding.regions if r["share"] >= GUILTY], inside)
        place = self.place(part, self.parts, "part")
        if place < len(self.excerpt.parts):
            return self._whole([self.parts[place]], inside)
        owner, channel = self.labels[place - len(self.excerpt.parts)]
        return {owner: self._channel(owner, channel, inside)}

    def _channel(self, part: str, channel: str, rows: slice | None = None) -> np.ndarray:
        samples = self.excerpt.parts[part]
        columns = [str(c) for c in samples.columns] if hasattr(samples, "columns") else []
        mask = np.zeros((len(samples), len(columns) or int(np.prod(samples.shape[1:]))), bool)
        mask[rows or self.rows, columns.index(channel) if columns else int(channel.split()[-1]) - 1] = True
        return mask

    def _whole(self, names: Sequence[str], rows: slice | None = None) -> dict[str, Any]:
        """Masks of everything in these parts during the event, or other steps of the excerpt."""
        masks: dict[str, Any] = {}
        rows = rows or self.rows
        for name in names:
            samples = self.excerpt.parts[name]
            if picture_at(samples, 0) is None and (hasattr(samples, "columns") or isinstance(samples, np.ndarray)):
                masks[name] = np.zeros((len(samples), _width(samples)), bool)
                masks[name][rows] = True
                continue
            inside = range(rows.start, rows.stop)
            masks[name] = [
                np.ones(one.shape[:2], bool) if one is not None and step in inside else None
                for step, one in enumerate(samples)
            ]
        return masks

    def repairs(self) -> Iterator[Any]:
        """The guiltiest channel, then the guiltiest part, then all that are guilty."""
        names = self.parts
        for told in self.finding.parts[:1]:
            if str(told["name"]) in names:
                yield self.mask(part=str(told["name"]))
        if self.regions:
            yield self._whole(self.regions[:1])
        yield self.mask()

    def left_out(self, part: str) -> Any:
        name = self.proper(part=part)
        if name not in self.excerpt.parts:
            return self.repaired(self.mask(part=part))
        if len(self.excerpt.parts) == 1:
            raise AnomalyError(f"{self.finding.id} has no other part than {name!r}, so it cannot be left out.")
        return {other: samples for other, samples in self.excerpt.parts.items() if other != name}

    def keep(self, normal: Any) -> None:
        expected = numbers(normal, len(next(iter(normal.values()))))[0]
        path = self.finding.folder / "counterfactual.npz"
        write(path, lambda file: np.savez_compressed(file, expected=expected))


def _width(samples: Any) -> int:
    """How many columns or channels a part has that holds no pictures."""
    return len(samples.columns) if hasattr(samples, "columns") else int(np.prod(samples.shape[1:]))


def _column(own: Any, number: int | None) -> np.ndarray:
    """(step,) of one part's map: a channel, or the highest value of each picture; 0 where there is none."""
    if number is not None:
        return np.nan_to_num(np.asarray(own, float).reshape(len(own), -1)[:, number])
    return np.array([0.0 if one is None else float(np.nanmax(one, initial=0.0)) for one in own])
