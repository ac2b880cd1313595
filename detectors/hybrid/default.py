"""The default: a calibrated ensemble. Members' maps are put on one scale by held-out normals, then added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from detectors.denoiser import DenoisingMethod
from detectors.errors import AnomalyError
from detectors.method import Method, Space
from detectors.registry import methods
from detectors.scaling import harmonic_rows, row_scale
from detectors.training import Run


@dataclass(frozen=True)
class Member:
    """One member of a recipe."""

    name: str  # unique; usable as `member=`
    method: str
    weight: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    thins_out: bool = False  # weight over channels squared: near neighbours say little in many dimensions

    def weight_in(self, space: Space) -> float:
        """Its weight for items of this space."""
        return self.weight / space.shape[0] ** 2 if self.thins_out else self.weight


# Chosen by measurement; what was seen when choosing stands in the README under "Benchmarks".
RECIPES: dict[str, tuple[Member, ...]] = {
    "image": (
        Member("network", "likelihood", 0.5, {"denoiser": "corrected"}),
        Member("gaussian", "likelihood", 1.0, {"denoiser": "corrected", "exact": True}),
        Member("neighbours", "diffusion_time", 0.25, {"memory": 400, "k": 3, "reach": 0}),
    ),
    "series": (
        Member(
            "gaussian", "multi_start", 1.0, {"denoiser": "gaussian", "times": (50, 110, 320, 670), "shrinkage": 0.001}
        ),
        Member("neighbours", "diffusion_time", 2.0, {"memory": 4000}, thins_out=True),
    ),
    "video": (
        Member("motion", "cell_mixture", 1.0, {"components": 8}),
        Member("appearance", "cell_mixture", 0.2, {"groups": ("appearance",), "components": 1, "noise": (0.1,)}),
    ),
    "table": (
        Member("mixture", "smoothed_density"),
        Member("network", "multi_start", 1.0, {"times": (200,)}),
        Member("kernel", "smoothed_density", 1.0, {"form": "kernel"}),
        Member("kernel_ranks", "smoothed_density", 1.0, {"form": "kernel", "view": "rank"}),
        Member("columns", "smoothed_density", 1.0, {"form": "columns", "worst": True}),
    ),
    "multimodal": (
        Member("mixture", "smoothed_density"),
        Member("neighbours", "diffusion_time", 0.25),
    ),
}


class Default(Method):
    """Calibrated ensemble of reconstruction and density (hybrid).

    Map: sum over members of weight x (map - mean) / deviation, both from held-out normals; score: its reduction. Rows:
    a member's total is bent (linear among normals, logarithmic far out), read as a p-value among held-out normals, and
    the score is -log of the members' harmonic mean p-value: what one alone is sure of is not averaged away.
    Members that name the same denoiser share one fitted network. Settings: members (names to keep; all by default) and
    any setting of a learned denoiser (width, depth, train_steps, ...), which goes to the members that have one.
    Calls a sample: those of its members.
    """

    name = "default"
    defaults = {"members": None, "width": None, "depth": None, "train_steps": None, "batch_size": None}

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        recipe = RECIPES[space.modality]
        wanted = self.settings["members"] or [m.name for m in recipe]
        wanted = wanted.split(",") if isinstance(wanted, str) else list(wanted)
        unknown = [name for name in wanted if name not in {m.name for m in recipe}]
        if unknown:
            raise AnomalyError(
                f"members={unknown[0]!r} is unknown; for {space.modality}: {', '.join(m.name for m in recipe)}."
            )
        self.recipe = tuple(m for m in recipe if m.name in wanted)
        made = {m.name: self._make(m) for m in self.recipe}
        self.parts = nn.ModuleDict(made)
        owners: dict[str, DenoisingMethod] = {}
        for part in made.values():
            if isinstance(part, DenoisingMethod):
                owner = owners.setdefault(part.denoiser_key, part)
                if owner is part:
                    part.build()
                else:
                    part.share(owner.denoiser)

    def _make(self, member: Member) -> Method:
        cls = methods()[member.method]
        passed = {k: v for k, v in self.settings.items() if k != "members" and v is not None}
        learned = issubclass(cls, DenoisingMethod) and member.settings.get("denoiser") != "gaussian"
        return cls(self.space, **{**(passed if learned else {}), **member.settings})

    @property
    def members(self) -> Mapping[str, Method]:
        return {name: part for name, part in self.parts.items() if isinstance(part, Method)}

    @property
    def calls(self) -> int:
        return sum(part.calls for part in self.members.values())

    def build(self) -> None:
        for part in self.members.values():
            part.build()

    def fit(self, x: Tensor, run: Run) -> None:
        for index, (name, part) in enumerate(self.members.items()):
            count = len(self.parts)
            part.fit(x, run.part(index / count, (index + 1) / count, name))

    def calibrate(self, x: Tensor) -> None:
        for name, part in self.members.items():
            part.calibrate(x)
            maps = part.maps(x)
            if maps.ndim == 2:
                self.learn(**{f"scale_{name}": row_scale(maps)})
                continue
            # pictures, windows: members have judged places against their own normals; doing so again would add noise
            self.learn(**{f"mean_{name}": maps.mean(), f"std_{name}": maps.std().clamp_min(1e-6)})

    def absorb(self, x: Tensor) -> None:
        for part in self.members.values():
            part.absorb(x)

    def maps(self, x: Tensor) -> Tensor:
        members = self.members
        weights = [m.weight_in(self.space) for m in self.recipe]
        if x.ndim == 2:
            scales = [self.get_buffer(f"scale_{m.name}") for m in self.recipe]
            return harmonic_rows([members[m.name].maps(x) for m in self.recipe], scales, weights)
        scaled = [
            weight * self._standardised(m.name, members[m.name].maps(x))
            for m, weight in zip(self.recipe, weights, strict=True)
        ]
        return torch.stack(scaled).sum(0) / sum(weights)

    def _standardised(self, name: str, maps: Tensor) -> Tensor:
        return (maps - self.get_buffer(f"mean_{name}")) / self.get_buffer(f"std_{name}")

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """From the first member: it stands for the hybrid."""
        return next(iter(self.members.values())).normal(x, where, seed)
