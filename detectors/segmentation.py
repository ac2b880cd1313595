"""Base of the methods that judge an item beside its normal version with a segmenter trained on synthetic defects.

Knows a denoiser, a segmenter and where defects come from; each method says how an item is restored.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detectors.denoiser import DenoisingMethod
from detectors.diffusion import Diffusion
from detectors.networks.segmenter import Segmenter, mask_evidence, mask_loss
from detectors.scaling import ZScored
from detectors.synthetic import plant_half
from detectors.training import Run, autocast, train


class SegmentingMethod(DenoisingMethod, ZScored):
    """Denoiser, then segmenter: the map is -log P(normal) at each place, z-scored by held-out normals."""

    segmenter: Segmenter

    def build(self) -> None:
        super().build()
        if "segmenter" not in self._modules:
            self.segmenter = Segmenter(self.space.shape, self.settings["width"], self.settings["depth"])

    def fit(self, x: Tensor, run: Run) -> None:
        super().fit(x, run.part(0.0, 0.5, "denoiser"))
        self.segmenter.to(run.device)
        self.prepare(x, run)
        self._learn_to_segment(x, run.part(0.5, 1.0, "segmenter"))

    def prepare(self, x: Tensor, run: Run) -> None:
        """What is to be made with the fitted denoiser before the segmenter learns. Nothing by default."""

    def defects(self, x: Tensor, donors: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A training batch with defects in half of it: (x, where)."""
        return plant_half(x, generator, donors, self.space.groups)

    def restored(self, x: Tensor, noise: Tensor) -> Tensor:
        """The normal version of x that the segmenter compares it with; noise: like x or broadcastable to it."""
        raise NotImplementedError

    def _learn_to_segment(self, x: Tensor, run: Run) -> None:
        s: dict[str, Any] = self.settings

        def objective(network: nn.Module, batch: Tensor, noise: Tensor, t: Tensor) -> Tensor:
            odd, where = self.defects(batch, x, run.generator)
            return mask_loss(network(odd, self.restored(odd, noise).clone()), where)  # a clone may be learned from

        train(
            self.segmenter,
            Diffusion(),
            x,
            run,
            steps=s["train_steps"],
            batch_size=s["batch_size"],
            lr=s["lr"],
            bf16=len(self.space.shape) == 3,
            objective=objective,
            message="learning to see synthetic defects",
        )

    def evidence(self, x: Tensor) -> Tensor:
        noise = torch.randn((1, *x.shape[1:]), generator=torch.Generator().manual_seed(0)).to(x.device)
        normal = self.restored(x, noise)  # one noise for all: an item is as in its batch
        with torch.inference_mode(), autocast(x.device, x.ndim == 4):
            return mask_evidence(self.segmenter(x, normal))
