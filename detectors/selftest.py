"""Would the fitted model see an anomaly? Plants some into normals that the fit did not see and looks.

Works on encoded items of any modality: knows a method and tensors (n, channel, *position), not samples or files. Tells
by kind of planted anomaly how many stand out among normals and, where the method reconstructs, how much of what was
planted the model gives back (the identity shortcut: a model that reproduces everything sees nothing; You et al.,
NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from detectors.denoiser import Denoiser
from detectors.method import Method
from detectors.synthetic import kinds_of, plant

MOST = 200  # items that each kind is planted into
CELLS = 20_000  # numbers in the places of all items of a kind: pictures are dear
LEVEL = 500  # of 1000 steps: the noise level at which giving back is measured
TOP = 0.01  # share of the highest places that stand for an item, as in pictures
WEAK = 0.5  # share found below which a kind is called weak
SHORTCUT = 0.9  # share given back above which the model is said to copy


@dataclass(frozen=True)
class KindResult:
    """What became of one kind of planted anomaly."""

    kind: str
    count: int
    found: float  # share above the normals' 1 - alpha quantile
    auroc: float  # of planted against normal items
    given_back: float | None  # share of the planted change in the reconstruction: 1 copied, 0 undone; None: not asked


@dataclass(frozen=True)
class SelfTest:
    """What a fitted model does with planted anomalies."""

    alpha: float
    kinds: tuple[KindResult, ...]

    @property
    def found(self) -> float:
        """Mean share found over the kinds."""
        return sum(k.found for k in self.kinds) / len(self.kinds)

    @property
    def copies(self) -> bool:
        """The identity shortcut: what was planted comes back, and is not found either."""
        told = [k.given_back for k in self.kinds if k.given_back is not None]
        return bool(told) and sum(told) / len(told) > SHORTCUT and self.found < WEAK

    @property
    def sentence(self) -> str:
        """The result in one line."""
        weakest = min(self.kinds, key=lambda k: k.found)
        said = f"Planted anomalies: {self.found:.0%} found at alpha {self.alpha:g}"
        if weakest.found < WEAK:
            said += f"; weakest: {weakest.kind} {weakest.found:.0%}"
        told = [k.given_back for k in self.kinds if k.given_back is not None]
        if told:
            said += f"; the model gives {max(0.0, sum(told) / len(told)):.0%} of a planted change back"
        return said + ("; it copies its input: train longer or on less noise." if self.copies else ".")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"alpha": self.alpha, "found": round(self.found, 4), "copies": self.copies,
                "kinds": [asdict(k) for k in self.kinds], "sentence": self.sentence}  # fmt: skip


def self_test(method: Method, x: Tensor, alpha: float = 0.05, seed: int = 0, batch: int = 64) -> SelfTest:
    """Plant every kind that items of this shape have into x (n, channel, *position), normals unseen by the fit.

    Places are scored as the method maps them; an item counts by its highest 1 % (rows: their sum), so the figures are
    those of the method and not of a modality's way to sum up. Deterministic for a seed.
    """
    generator = torch.Generator().manual_seed(seed)
    cells = max(1, x[0].numel() // x.shape[1])
    x = x[:: max(1, -(-len(x) // max(24, min(MOST, CELLS // cells))))]
    normal = item_scores(method, x.split(batch))
    bar = float(torch.quantile(normal, 1 - alpha))
    found = []
    for kind in kinds_of(x.shape[1:]):
        planted = plant(x, generator, [kind], groups=method.space.groups)
        own = torch.tensor([k == kind for k in planted.kinds], device=x.device)
        if not own.any():
            continue
        odd, clean = planted.x[own], x[own]
        scores = item_scores(method, odd.split(batch))
        found.append(
            KindResult(
                kind,
                len(odd),
                float((scores > bar).float().mean()),
                _auroc(normal, scores),
                _given_back(method, clean, odd, batch),
            )
        )
    return SelfTest(alpha, tuple(found))


def item_scores(method: Method, batches: Iterable[Tensor]) -> Tensor:
    """One score an item (n,), from its map: rows their sum, others the mean of their highest places."""
    return torch.cat([_reduced(method.maps(part).float().cpu()) for part in batches])


def _reduced(maps: Tensor) -> Tensor:
    if maps.ndim == 2:
        return maps.sum(1)
    places = maps.sum(1).flatten(1)
    return places.topk(max(1, round(TOP * places.shape[1])), 1).values.mean(1)


def _auroc(normal: Tensor, odd: Tensor) -> float:
    """Share of (normal, odd) pairs in the right order; ties count half."""
    gap = odd[:, None] - normal[None]
    return float(((gap > 0).float() + 0.5 * (gap == 0).float()).mean())


def _given_back(method: Method, clean: Tensor, odd: Tensor, batch: int) -> float | None:
    """Projection of the change of the one-step reconstruction on the planted change, over all items."""
    denoiser = next(filter(None, map(_reconstructs, method.members.values() or (method,))), None)
    if denoiser is None or denoiser.space.shape != method.space.shape:
        return None
    back, whole = 0.0, 0.0
    for a, b in zip(clean.split(batch), odd.split(batch), strict=True):
        change = b - a
        answer = denoiser.one_step(b, LEVEL) - denoiser.one_step(a, LEVEL)
        back += float((answer * change).sum())
        whole += float(change.square().sum())
    return back / max(whole, 1e-12)


def _reconstructs(method: Method) -> Denoiser | None:
    """The method's learned denoiser, if it has one."""
    denoiser = getattr(method, "denoiser", None)
    return denoiser if isinstance(denoiser, Denoiser) and denoiser.calls else None
