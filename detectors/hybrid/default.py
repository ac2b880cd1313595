"""The default: a calibrated ensemble. Members' maps are put on one scale by held-out normals, then added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from detectors.denoiser import DenoisingMethod
from detectors.errors import AnomalyError
from detectors.method import Method, Space
from detectors.registry import methods
from detectors.scaling import PictureScale, harmonic_rows, row_scale
from detectors.selftest import self_test
from detectors.training import Run

FOLDS = 5  # parts of the normal pictures, each judged by a fit on the others


@dataclass(frozen=True)
class Member:
    """One member of a recipe."""

    name: str  # unique; usable as `member=`
    method: str
    weight: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    asked: bool = False  # only when named in `members=`
    thins_out: bool = False  # weight over channels squared: near neighbours say little in many dimensions
    aligned: bool | None = None  # only where a position means the same place in every item (False: only where not)
    anywhere: float | None = None  # its weight where it does not; None: the same
    bound: float = float("inf")  # rows: the most -log p that is believed of it

    def weight_in(self, space: Space) -> float:
        """Its weight for items of this space."""
        weight = self.weight if space.aligned or self.anywhere is None else self.anywhere
        return weight / space.shape[0] ** 2 if self.thins_out else weight


# Chosen by measurement; what was seen when choosing stands in the README under "Benchmarks".
RECIPES: dict[str, tuple[Member, ...]] = {
    "image": (
        Member("gaussian", "likelihood", anywhere=0.25),
        Member("neighbours", "diffusion_time", 0.5, {"memory": 400, "k": 1, "reach": 0, "fine": True}, aligned=True),
        Member("patches", "diffusion_time", 1.0, {"memory": 100_000, "k": 1, "reach": None}, aligned=False),
        Member("network", "likelihood", 0.5, {"denoiser": "corrected"}, asked=True),
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
        # a relation that no normal breaks is broken beyond all measure by the first that does: one voice, not the score
        Member("relations", "smoothed_density", 1.0, {"form": "relations"}, bound=15.0),
    ),
    "multimodal": (
        Member("mixture", "smoothed_density"),
        Member("neighbours", "diffusion_time", 0.25),
    ),
}


def _recipe(modality: str, members: str | Sequence[str] | None) -> tuple[Member, ...]:
    """The members that are wanted, all but those only asked for by default. Raises AnomalyError for an unknown one."""
    recipe = RECIPES[modality]
    wanted = members or [m.name for m in recipe if not m.asked]
    wanted = wanted.split(",") if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in wanted if name not in {m.name for m in recipe}]
    if unknown:
        raise AnomalyError(f"members={unknown[0]!r} is unknown; for {modality}: {', '.join(m.name for m in recipe)}.")
    return tuple(m for m in recipe if m.name in wanted)


def trust(member: Method, x: Tensor) -> float:
    """How far a member is trusted with rows like the held-out normals x (n, channel): the square of its odds of ranking
    a normal with a planted anomaly above one without, which differ much from table to table."""
    kinds = self_test(member, x).kinds
    power = min(max(sum(kind.auroc for kind in kinds) / len(kinds), 0.5), 0.995)
    return (power / (1 - power)) ** 2


class Default(Method):
    """Calibrated ensemble of reconstruction and density (hybrid).

    Map: sum over members of weight x (map - mean) / deviation, both from normals unseen by the fit (pictures: at each
    place and for a picture of that level, see `PictureScale`); score: its reduction. Rows: a member's total is bent
    (linear among normals, logarithmic far out), read as a p-value among held-out normals, and the score is -log of the
    members' harmonic mean p-value: what one alone is sure of is not averaged away. Rows of tables: members are weighted
    by how they find planted anomalies in held-out normals (`trust`).
    Pictures: both members are closed forms, so that all normals are fitted on and calibrate, in turns of a fifth each;
    `members="gaussian,neighbours,network"` adds a learned one, and a fifth is kept out.
    Members that name the same denoiser share one fitted network. Settings: members (names to keep; all by default) and
    any setting of a learned denoiser (width, depth, train_steps, ...), which goes to the members that have one.
    Calls a sample: those of its members (0 for pictures).
    Measured (MobileNetV2; image / pixel AUROC / AUPRO): transistor .994 / .984 / .948, kolektor .947 / .961 / .876,
    magnetic tile .961 / .820 / .759. At alpha .01 it flags 80, 38 and 64 % of the odd and at most 1 % of the normals.
    On planted defects in held-out normals of these sets, neighbours by fine layers alone came to a mean AUPRO of .653
    and image AUROC of .832, by all layers to .637 and .828.
    """

    name = "default"
    defaults = {"members": None, "width": None, "depth": None, "train_steps": None, "batch_size": None}

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        wanted = _recipe(space.modality, self.settings["members"])
        self.recipe = tuple(m for m in wanted if m.aligned in (None, space.aligned)) or wanted
        self.scales = nn.ModuleDict({m.name: PictureScale() for m in self.recipe} if self.pictures else {})
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
        """Those that have something to say of data like the normals, by name."""
        return {name: part for name, part in self.parts.items() if isinstance(part, Method) and not part.silent}

    @property
    def _heard(self) -> tuple[Member, ...]:
        """The recipe without members that are silent."""
        return tuple(m for m in self.recipe if m.name in self.members)

    @property
    def calls(self) -> int:
        return sum(part.calls for part in self.members.values())

    @property
    def pictures(self) -> bool:
        """Whether items are pictures."""
        return self.space.modality == "image"

    @classmethod
    def folds(cls, modality: str, settings: Mapping[str, Any]) -> int:
        learned = any(m.name == "network" for m in _recipe(modality, settings["members"]))
        return FOLDS if modality == "image" and not learned else 0

    def build(self) -> None:
        for part in self.members.values():
            part.build()

    def fit(self, x: Tensor, run: Run) -> None:
        for index, (name, part) in enumerate(self.members.items()):
            count = len(self.parts)
            part.fit(x, run.part(index / count, (index + 1) / count, name))

    def evidence(self, x: Tensor) -> Tensor:
        """Pictures: the members' maps, (n, member, h, w)."""
        return torch.cat([part.maps(x) for part in self.members.values()], 1)

    def see(self, evidence: Tensor) -> None:
        for number, name in enumerate(self.members):
            self._scale(name).see(evidence[:, number : number + 1], self.space)

    def judged(self, evidence: Tensor, member: str | None = None) -> Tensor:
        by_name = dict(zip(self.members, evidence.split(1, 1), strict=True))
        if member is not None:
            return by_name[member]
        weights = {m.name: m.weight_in(self.space) for m in self.recipe}
        scaled = [weights[name] * self._scale(name).z(maps) for name, maps in by_name.items()]
        return torch.stack(scaled).sum(0) / sum(weights.values())

    def _scale(self, name: str) -> PictureScale:
        scale = self.scales[name]
        assert isinstance(scale, PictureScale)
        return scale

    def calibrate(self, x: Tensor) -> None:
        for part in self.members.values():
            part.calibrate(x)
        if self.pictures:
            self.see(self.evidence(x))
            return
        if self.space.modality == "table":
            self.learn(trust=torch.tensor([trust(part, x) for part in self.members.values()]))
        for name, part in self.members.items():
            maps = part.maps(x)
            if maps.ndim == 2:
                self.learn(**{f"scale_{name}": row_scale(maps)})
                continue
            # clips, windows: members have judged places against their own normals; doing so again would add noise
            self.learn(**{f"mean_{name}": maps.mean(), f"std_{name}": maps.std().clamp_min(1e-6)})

    def absorb(self, x: Tensor) -> None:
        for part in self.members.values():
            part.absorb(x)

    def maps(self, x: Tensor) -> Tensor:
        if self.pictures:
            return self.judged(self.evidence(x))
        members = self.members
        heard = self._heard
        weights = [m.weight_in(self.space) for m in heard]
        if x.ndim == 2:
            scales = [self.get_buffer(f"scale_{m.name}") for m in heard]
            if self.space.modality == "table":
                weights = [weight * t for weight, t in zip(weights, self.get_buffer("trust").tolist(), strict=True)]
            bounds = [m.bound for m in heard]
            return harmonic_rows([members[m.name].maps(x) for m in heard], scales, weights, bounds)
        scaled = [
            weight * self._standardised(m.name, members[m.name].maps(x))
            for m, weight in zip(heard, weights, strict=True)
        ]
        return torch.stack(scaled).sum(0) / sum(weights)

    def _standardised(self, name: str, maps: Tensor) -> Tensor:
        return (maps - self.get_buffer(f"mean_{name}")) / self.get_buffer(f"std_{name}")

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """From the first member: it stands for the hybrid."""
        return next(iter(self.members.values())).normal(x, where, seed)
