"""Transparency: anomalies are made transparent step by step, by a network that also says where they are."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.networks.segmenter import mask_evidence, mask_loss
from detectors.restoring import NetworkMethod
from detectors.synthetic import plant
from detectors.training import Run

STEPS = 20


class Transparency(NetworkMethod):
    """TransFusion (Fucka et al., ECCV 2024): x_t = (1 - M) x + (1 - b_t) M x + b_t M e, with b from 0 to 1 in 20 steps.

    Not noise but a synthetic anomaly e at the place M grows opaque. One network sees x_t and the mask so far and says
    three things: b_t e, the normal x, and M. The chain begins at the input as if all of it were opaque, with an empty
    mask: x_{t-1} = x_t - (db / b_t) M [b_t e] + db M x0, with M at 0.5. Map: 0.95 times the mean over steps of
    -log P(normal), plus 0.05 times (x - x0)^2 of the end; in pictures and windows averaged over 3 neighbours (the
    paper: probabilities and 7 pixels; cells are coarser than pixels, and probabilities saturate), z-scored by held-out
    normals.
    The network is also told |x_t - mean normal|, which a small one does not find by itself. On small sets of rows and
    clips its peaks missed the planted places, so it is for pictures and series. Measured (transistor in pixel space,
    width 48, depth 2, seed 0): image AUROC .743, pixel AUROC .937, AUPRO .445 (`default`: .885, .916, .765).
    Settings: num_inference_steps (at most 19), and those of a network. Calls a sample: num_inference_steps.
    """

    name = "transparency"
    modalities = ("image", "series")
    defaults = {"num_inference_steps": 5}

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        if not 1 <= self.settings["num_inference_steps"] < STEPS:
            raise AnomalyError(f"num_inference_steps must lie between 1 and {STEPS - 1}.")

    @property
    def calls(self) -> int:
        return int(self.settings["num_inference_steps"])

    @property
    def channels(self) -> tuple[int, int]:
        return 2 * self.space.shape[0] + self.marks, 2 * self.space.shape[0] + self.marks

    def fit(self, x: Tensor, run: Run) -> None:
        super().fit(x, run)
        channels, marks = self.space.shape[0], self.marks

        def objective(network: nn.Module, batch: Tensor, noise: Tensor, t: Tensor) -> Tensor:
            odd, where, _ = plant(batch, run.generator, donors=x, groups=self.space.groups)
            opacity = (t.clamp_min(1).float() / (STEPS - 1)).view(-1, *(1,) * (batch.ndim - 1))
            mask = where.float()
            appearance = opacity * mask * odd
            x_t = batch + opacity * mask * (odd - batch)
            told = mask * (opacity < 1) * self._chance(batch, run.generator)  # the chain begins with an empty mask
            output = network(self._seen(x_t, told), (t + 1) / STEPS).float()
            e, x0, logits = output.split([channels, channels, marks], 1)
            errors = (e - appearance).square() + (x0 - batch).abs()
            return errors.flatten(1).mean(1) + mask_loss(logits, where)

        self.teach(x, run, objective, STEPS, "learning to make anomalies transparent")

    def _chance(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """1 for some items and 0 for the others, (n, 1, ...)."""
        told = torch.rand((len(x),) + (1,) * (x.ndim - 1), generator=generator) < 0.3
        return told.float().to(x.device)

    def _seen(self, x_t: Tensor, mask: Tensor) -> Tensor:
        seen = torch.cat([x_t, (x_t - self.mean).abs(), mask], 1)
        return seen.contiguous(memory_format=torch.channels_last) if seen.ndim == 4 else seen

    def cleared(self, x: Tensor, pinned: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The chain: (x without anomaly, mean evidence of the mask); `pinned`: a mask that is taken as given."""
        channels = self.space.shape[0]
        count = self.settings["num_inference_steps"]
        times = torch.linspace(STEPS - 1, 0, count + 1).round().long().tolist()
        x_t, total = x, torch.zeros_like(x[:, : self.marks])
        mask = torch.zeros_like(total) if pinned is None else pinned
        for index in range(count):
            now, step = times[index] / (STEPS - 1), (times[index] - times[index + 1]) / (STEPS - 1)
            output = self.ask(self._seen(x_t, mask), (times[index] + 1) / STEPS)
            appearance, x0, logits = output.split([channels, channels, self.marks], 1)
            total = total + mask_evidence(logits)
            if pinned is None:
                mask = (logits > 0).float()
            x_t = x_t - (step / now) * mask * appearance + step * mask * x0
        return x_t, total / count

    def evidence(self, x: Tensor) -> Tensor:
        cleared, evidence = self.cleared(x)
        change = (x - cleared).square()
        if self.pictures:
            change = change.mean(1, keepdim=True)
        return 0.95 * self._smooth(evidence) + 0.05 * self._smooth(change)

    def _smooth(self, maps: Tensor) -> Tensor:
        if self.pictures:
            return F.avg_pool2d(maps, 3, 1, 1, count_include_pad=False)
        return F.avg_pool1d(maps, 3, 1, 1, count_include_pad=False) if maps.ndim == 3 else maps

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """The chain with the mask pinned to the hole, which begins as the mean normal."""
        hole = where.expand_as(x)
        pinned = hole.any(1, keepdim=True) if self.pictures else hole
        begun = torch.where(hole, self.mean.to(x), x)
        return torch.where(hole, self.cleared(begun, pinned.float())[0], x)
