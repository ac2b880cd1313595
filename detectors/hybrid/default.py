"""The default: a calibrated ensemble. Members' maps are put on one scale by held-out normals, then added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from detectors.denoiser import DenoisingMethod
from detectors.errors import AnomalyError
from detectors.method import Method
from detectors.registry import methods
from detectors.scaling import normal_scale
from detectors.training import Run


@dataclass(frozen=True)
class Member:
    """One member of a recipe."""

    name: str  # unique; usable as `member=`
    method: str
    weight: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)


# Chosen by measurement (README, "Benchmarks"), never on test labels of the sets reported there.
RECIPES: dict[str, tuple[Member, ...]] = {
    "image": (
        Member("network", "multi_start"),
        Member("gaussian", "multi_start", 1.0, {"denoiser": "gaussian"}),
        Member("neighbours", "diffusion_time"),
    ),
    "series": (
        Member("network", "multi_start"),
        Member("gaussian", "multi_start", 1.0, {"denoiser": "gaussian"}),
        Member("neighbours", "diffusion_time"),
    ),
    "table": (
        Member("network", "multi_start"),
        Member("gaussian", "multi_start", 1.0, {"denoiser": "gaussian"}),
        Member("neighbours", "diffusion_time"),
    ),
}


class Default(Method):
    """Calibrated ensemble of reconstruction and density (hybrid).

    Map: sum over members of weight x (map - mean) / deviation, both from held-out normals; score: its reduction.
    Members that name the same denoiser share one fitted network. Settings: members (names to keep; all by default) and
    any setting of a learned denoiser (width, depth, train_steps, ...), which goes to the members that have one.
    """

    name = "default"
    defaults = {"members": None, "width": None, "depth": None, "train_steps": None, "batch_size": None}

    def __init__(self, space, **settings) -> None:  # type: ignore[no-untyped-def]
        super().__init__(space, **settings)
        recipe = RECIPES[space.modality]
        wanted = self.settings["members"] or [m.name for m in recipe]
        wanted = wanted.split(",") if isinstance(wanted, str) else list(wanted)
        unknown = [name for name in wanted if name not in {m.name for m in recipe}]
        if unknown:
            raise AnomalyError(f"members={unknown[0]!r} is unknown; for {space.modality}: {', '.join(m.name for m in recipe)}.")
        self.recipe = tuple(m for m in recipe if m.name in wanted)
        self.parts = nn.ModuleDict({m.name: self._make(m) for m in self.recipe})
        owners: dict[str, DenoisingMethod] = {}
        for part in self.parts.values():
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
        return dict(self.parts.items())

    @property
    def calls(self) -> int:
        return sum(part.calls for part in self.parts.values())

    def build(self) -> None:
        for part in self.parts.values():
            part.build()

    def fit(self, x: Tensor, run: Run) -> None:
        for index, (name, part) in enumerate(self.parts.items()):
            count = len(self.parts)
            part.fit(x, run.part(index / count, (index + 1) / count, name))

    def calibrate(self, x: Tensor) -> None:
        for name, part in self.parts.items():
            part.calibrate(x)
            mean, std = normal_scale(part.maps(x), self.space)
            self.learn(**{f"mean_{name}": mean, f"std_{name}": std})

    def absorb(self, x: Tensor) -> None:
        for part in self.parts.values():
            part.absorb(x)

    def maps(self, x: Tensor) -> Tensor:
        total = 0.0
        for member in self.recipe:
            z = (self.parts[member.name].maps(x) - self._buffers[f"mean_{member.name}"]) / self._buffers[f"std_{member.name}"]
            total = total + member.weight * z
        return total / sum(member.weight for member in self.recipe)

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """From the first learned member: the hybrid's own diffusion model."""
        return next(iter(self.parts.values())).normal(x, where, seed)
