"""What a method is: it learns from normal items and gives each new item a map of additive evidence.

Three functions to write: `fit`, `maps` and, where it has a model of normality, `normal`. Knows tensors of shape
(n, channel, *position), not pictures, series or tables; calibration, places and files are the detector's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from detectors.errors import AnomalyError
from detectors.training import Run


@dataclass(frozen=True)
class Space:
    """The tensor space of one modality: an item is (channel, *position); a table row is (channel,)."""

    modality: str
    shape: tuple[int, ...]
    aligned: bool = False  # a position means the same place in every item (fixtured parts)
    groups: tuple[tuple[str, int], ...] = ()  # runs of channels that belong together: (name, channels), in order
    fine: int = 0  # pictures: leading channels that see the closest surroundings only; 0: there are no such

    @property
    def size(self) -> int:
        """Numbers in one item."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    def channels(self, group: str) -> slice:
        """Where a group's channels lie. Raises KeyError where there is no such group."""
        first = 0
        for name, count in self.groups:
            if name == group:
                return slice(first, first + count)
            first += count
        raise KeyError(group)


class Learned(nn.Module):
    """A module whose learned arrays are buffers, so that they are saved and loaded with it."""

    def learn(self, **arrays: Tensor) -> None:
        """Keep learned arrays, in place of earlier ones of the same names."""
        for name, value in arrays.items():
            if name in self._buffers:
                self._buffers[name] = value.detach()
            else:
                self.register_buffer(name, value.detach())


class Method(Learned):
    """Base of all methods. Each class docstring is a card: paper, score, map, calls a sample, when to choose it."""

    name: ClassVar[str] = ""
    taxonomy: ClassVar[str] = ""  # set by the registry from the folder
    modalities: ClassVar[tuple[str, ...]] = ("image", "series", "table", "video", "multimodal")
    defaults: ClassVar[Mapping[str, Any]] = {}
    defaults_for: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # by modality, over `defaults`

    def __init__(self, space: Space, **settings: Any) -> None:
        """Raises AnomalyError for a setting that the method does not have."""
        super().__init__()
        self.space = space
        self.settings = self.settings_for(space.modality, settings)

    @classmethod
    def settings_for(cls, modality: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults, then the modality's, then what was given."""
        return merge_settings(cls.name, {**cls.defaults, **cls.defaults_for.get(modality, {})}, given)

    def build(self) -> None:
        """Make the submodules that saved weights are loaded into. Nothing to make by default."""

    @property
    def members(self) -> Mapping[str, Method]:
        """A hybrid's parts by name; none for a single method."""
        return {}

    @property
    def calls(self) -> int:
        """Network calls a sample at detection (0: closed form)."""
        return 1

    @property
    def silent(self) -> bool:
        """Whether the fit found nothing that this method could hold against an item; an ensemble goes on without it."""
        return False

    def fit(self, x: Tensor, run: Run) -> None:
        """Learn from normal items x (n, channel, *position)."""
        raise NotImplementedError(f"{type(self).__name__}.fit")

    def contrast(self, anomalies: Tensor, normals: Tensor) -> None:
        """Learn, after `fit`, from a few known anomalies beside the normals. Raises AnomalyError unless overridden."""
        raise AnomalyError(f"{self.name} learns nothing from anomalies=; method='counterfactual_guidance' does.")

    @classmethod
    def folds(cls, modality: str, settings: Mapping[str, Any]) -> int:
        """Parts that normals are split into, each judged by a fit on the others, so that all of them are fitted on and
        calibrated with; such a method has `evidence`, `see` and `judged`. 0: a share of them is kept out instead."""
        return 0

    def evidence(self, x: Tensor) -> Tensor:
        """What a method with folds makes of items before it is set against normals': (n, part, *position)."""
        raise NotImplementedError(f"{type(self).__name__}.evidence")

    def see(self, evidence: Tensor) -> None:
        """Learn the scale of the maps from evidence of normals (n, part, *position), each by a fit without it."""
        raise NotImplementedError(f"{type(self).__name__}.see")

    def judged(self, evidence: Tensor, member: str | None = None) -> Tensor:
        """The maps, or those of a member, that evidence comes to: (n, channel or 1, *position)."""
        raise NotImplementedError(f"{type(self).__name__}.judged")

    def calibrate(self, x: Tensor) -> None:
        """See normal items that `fit` did not: learn the scale of the maps. Nothing to do by default."""

    def absorb(self, x: Tensor) -> None:
        """Take the held-out normals into memory after calibration (makes p-values conservative). Nothing by default."""

    def maps(self, x: Tensor) -> Tensor:
        """Evidence against normality: (n, channel or 1, *position). Deterministic; an item scores alone as batched."""
        raise NotImplementedError(f"{type(self).__name__}.maps")

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """The nearest normal version: x with `where` (bool, broadcastable to x) replaced by what is expected there."""
        raise NotImplementedError(f"{type(self).__name__}.normal")


def merge_settings(owner: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`known` overridden by `given`. Raises AnomalyError for a name that is not known."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise AnomalyError(f"{owner} has no setting {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'none'}.")
    return {**known, **given}


def load_learned(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict, making the buffers that `fit` would have made.

    Raises AnomalyError where a saved tensor has no home or a parameter is missing: the model is of another version.
    """
    missing = set(module.state_dict()) - set(state)
    if missing:
        raise AnomalyError(
            f"The saved model lacks {sorted(missing)[0]!r}; it was cut short or is of another version. Fit it again."
        )
    for key, value in state.items():
        path, _, leaf = key.rpartition(".")
        try:
            owner = module.get_submodule(path)
        except AttributeError:
            raise AnomalyError(
                f"The saved model holds {key!r}, which this version does not know. Fit it again."
            ) from None
        present = owner._parameters.get(leaf)
        if present is not None:
            if present.shape != value.shape:
                raise AnomalyError(
                    f"The saved {key!r} has shape {tuple(value.shape)}, expected {tuple(present.shape)}. Fit it again."
                )
            with torch.no_grad():
                present.copy_(value)
        else:
            owner._buffers[leaf] = value.clone()
