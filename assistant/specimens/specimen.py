"""One finding on the bench: what of it can be repaired, its repaired version, and the score of that.

Knows findings, their kept files and the detector it is handed; not the store, tools or language models. What differs by
modality is in `specimens`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from assistant.keeping import keep_json, load_json
from assistant.records import Finding
from detectors.errors import AnomalyError

GUILTY = 0.1  # share of the score from which a channel is worth repairing
MOST_CHANNELS = 4
MOST_NAMED = 8  # channels or features that a test of an explanation repairs at most
EXPLANATION = "explanation.json"


@dataclass(frozen=True)
class Judgement:
    """A score and its p-value."""

    score: float
    p_value: float


def explained(finding: Finding) -> Judgement | None:
    """How the nearest normal version scores, if it was worked out before; needs no detector."""
    path = finding.folder / EXPLANATION
    return Judgement(**load_json(path)) if path.is_file() else None


class Specimen(ABC):
    """A finding with its detector. `samples` are always in the detector's own form."""

    kind: ClassVar[str] = ""  # what its parts are called: "region", "channel", "feature"

    def __init__(self, finding: Finding, detector: Any) -> None:
        self.finding = finding
        self.detector = detector
        self.regions = [str(region["name"]) for region in finding.regions]

    @property
    @abstractmethod
    def parts(self) -> list[str]:
        """Names of what can be repaired or left out."""

    @abstractmethod
    def samples(self) -> Any:
        """The finding as it was scored (series: with its surroundings)."""

    @abstractmethod
    def mask(self, region: str | None = None, part: str | None = None) -> Any:
        """Own-form mask of one region, one part, or (neither) of everything that the detector found odd."""

    @abstractmethod
    def keep(self, normal: Any) -> None:
        """Write the nearest normal version into the finding's folder."""

    def box_mask(self, box: Sequence[int]) -> Any:
        """Own-form mask of a box (left, top, right, bottom) in pixels, half-open, that a person drew.

        Raises:
            AnomalyError: the finding has no picture, or the box does not lie in it.
        """
        raise AnomalyError(f"{self.finding.id} has no picture of its own, so no box can be drawn in it.")

    def rows_mask(self, rows: Sequence[int], part: str | None = None) -> Any:
        """Own-form mask of the rows first..last (both included, counted in the run) of one channel or of all.

        Raises:
            AnomalyError: the finding is no event in time, or the rows do not lie in the stretch that it keeps.
        """
        raise AnomalyError(f"{self.finding.id} is no event of a series, so it has no rows to choose from.")

    def keep_trial(self, repaired: Any, box: Sequence[int]) -> Path:
        """Write the picture in which a drawn box was repaired into the finding's folder."""
        raise AnomalyError(f"{self.finding.id} has no picture of its own, so no box can be drawn in it.")

    def proper(self, region: str | None = None, part: str | None = None) -> str:
        """The proper name of what `mask` masks."""
        if part is not None:
            return self.parts[self.place(part, self.parts, self.kind)]
        return self.regions[self.place(region, self.regions, "place")] if region is not None else "everything odd"

    def without(self, part: str) -> Any:
        """Own-form mask of a part, all over the sample."""
        return self.mask(part=part)

    def left_out(self, part: str) -> Any:
        """The samples with a part out of account: all of it as the model expects it."""
        return self.repaired(self.without(part))

    def repaired(self, where: Any) -> Any:
        """What normal would look like in the masked places."""
        return self.detector.counterfactual(self.samples(), where=where)

    def judge(self, samples: Any, member: str | None = None) -> Judgement:
        """Score samples again, now."""
        scores = np.asarray(self.detector.decision_function(samples, member=member), float)[self.rows]
        p_values = np.asarray(self.detector.calibrations[member].p_value(scores), float)
        seen = np.isfinite(scores)
        if not seen.any():
            raise AnomalyError(f"{self.finding.id} cannot be scored again: nothing of it is left to judge.")
        return Judgement(float(scores[seen].max()), float(p_values[seen].min()))

    # --- testing an explanation: masks as plain arrays shaped like the map ---

    def level(self) -> np.ndarray:
        """The calibrated map of `samples`."""
        return np.asarray(self.detector.anomaly_map(self.samples()), float)

    def named(self) -> np.ndarray:
        """What the finding names as odd, shaped like `level`."""
        return np.asarray(self.mask(), bool)

    def near(self) -> np.ndarray:
        """What may be repaired in a test, shaped like `level`: the whole sample."""
        return np.ones_like(self.named())

    def first_named(self) -> list[np.ndarray]:
        """What to repair of what the finding names, the smallest first; the last is all of it."""
        return [self.named()]

    def trials(self, masks: Sequence[np.ndarray]) -> list[Judgement]:
        """The scores after repairing each of some masks."""
        return [self.judge(self.repaired(mask) if mask.any() else self.samples()) for mask in masks]

    def _judged(self, samples: Any) -> list[Judgement]:
        """Many samples scored at once."""
        scores = np.asarray(self.detector.decision_function(samples), float)
        p_values = np.asarray(self.detector.calibrations[None].p_value(scores), float)
        return [Judgement(float(score), float(p)) for score, p in zip(scores, p_values, strict=True)]

    @property
    def rows(self) -> slice:
        """Which scores of `samples` are the finding's."""
        return slice(0, 1)

    def repairs(self) -> Iterator[Any]:
        """Masks to try for the nearest normal version, the smallest change first."""
        yield self.mask()

    def explain(self) -> Judgement:
        """The first repair that is normal again (else the one that scores lowest), kept, and its score; found once."""
        known = explained(self.finding)
        if known is not None:
            return known
        best: tuple[Judgement, Any] | None = None
        for where in self.repairs():
            normal = self.repaired(where)
            judgement = self.judge(normal)
            if best is None or judgement.score < best[0].score:
                best = judgement, normal
            if judgement.p_value > self.finding.alpha:
                break
        assert best is not None
        judgement, normal = best
        self.keep(normal)
        keep_json(self.finding.folder / EXPLANATION, asdict(judgement))
        return judgement

    def place(self, name: str, known: Sequence[str], what: str) -> int:
        """The number of the region or part that a person calls `name`.

        Raises:
            AnomalyError: there is none; the sentence lists those there are.
        """
        low = str(name).strip().casefold()
        plain_names = [str(one).casefold() for one in known]
        for number, one in enumerate(plain_names):
            if low in {one, one.removeprefix("region ").removeprefix("interval "), f"{self.kind} {one}"}:
                return number
        shown = ", ".join(repr(one) for one in known[:20]) or "none"
        more = f" and {len(known) - 20} more" if len(known) > 20 else ""
        raise AnomalyError(f"{self.finding.id} has no {what} {str(name)[:60]!r}; it has: {shown}{more}.")
