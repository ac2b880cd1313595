"""Bernoulli diffusion: items as bits; noise flips bits, and a network says which bits were flipped."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.networks.codes import BinaryCode
from detectors.restoring import NetworkMethod, by_place
from detectors.training import Run, train

STEPS = 1000


class Bernoulli(NetworkMethod):
    """Masked Bernoulli diffusion (Wolleb et al., MICCAI 2024) over a binary code learned on the normals.

    q(z_t) = Bernoulli(a_t z + (1 - a_t) / 2), a_t falling linearly; the network is told z_t and t and gives for each
    bit the probability that it is flipped. Both the code (a small autoencoder with bits between) and the network are
    trained on normals. At detection the bits are noised to step `start`, the same flips for all items, and come back
    through the Bernoulli posterior. At each step bits whose flip probability exceeds a half are marked, and all others
    are put back to the input's: what is normal stays. The last step gives the mean of z_0, which a small network tells
    better than its rounding. Map: (x - D(z_0))^2 (pictures: mean over channels), z-scored by held-out normals, since a
    small code errs by itself, more in some places than in others.
    The mean of q is taken whole; the paper's code loses half of it to a line break.
    Settings: bits (a patch), start (step of 1000), num_inference_steps, code_steps (training steps of the code), and
    those of a network. Calls a sample: num_inference_steps. Measured (transistor in pixel space, width 48, depth 2,
    seed 0): image AUROC .699, pixel AUROC .677, AUPRO .385 (`default`: .885, .916, .765).
    """

    name = "bernoulli"
    defaults = {"bits": 64, "start": 400, "num_inference_steps": 5, "code_steps": None}

    code: BinaryCode

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        if not 0 < self.settings["num_inference_steps"] <= self.settings["start"] < STEPS:
            raise AnomalyError(f"bernoulli needs 0 < num_inference_steps <= start < {STEPS}.")

    @property
    def calls(self) -> int:
        return int(self.settings["num_inference_steps"])

    @property
    def code_shape(self) -> tuple[int, ...]:
        return self.code.code_shape

    def build(self) -> None:
        if "code" not in self._modules:
            self.code = BinaryCode(self.space.shape, self.settings["bits"], self.settings["width"])
        super().build()

    def fit(self, x: Tensor, run: Run) -> None:
        super().fit(x, run)
        s = self.settings

        def rebuilt(code: nn.Module, batch: Tensor, noise: Tensor, t: Tensor) -> Tensor:
            return (code(batch).float() - batch).square().flatten(1).mean(1)

        part = run.part(0.0, 0.4, "code")
        train(self.code, Diffusion(), x, part, steps=s["code_steps"] or s["train_steps"], batch_size=s["batch_size"],
              lr=s["lr"], bf16=False, objective=rebuilt, message="learning a binary code")  # fmt: skip

        def flips(network: nn.Module, bits: Tensor, noise: Tensor, t: Tensor) -> Tensor:
            flipped = torch.rand(bits.shape, generator=run.generator).to(bits.device) < self._flip_chance(t, bits)
            z_t = torch.where(flipped, -bits, bits)
            given = z_t.contiguous(memory_format=torch.channels_last) if z_t.ndim == 4 else z_t
            logits = network(given, (t + 1) / STEPS).float()
            return F.binary_cross_entropy_with_logits(logits, flipped.float(), reduction="none").flatten(1).mean(1)

        self.teach(self._bits(x), run.part(0.4, 1.0, "flips"), flips, STEPS, "learning which bits are flipped")

    @torch.inference_mode()
    def _bits(self, x: Tensor) -> Tensor:
        """The code, a batch at a time: (n, bits, *grid) of -1 and 1."""
        return torch.cat([self.code.encode(part.float()) for part in x.split(256)]).clone()

    @staticmethod
    def _kept(t: Tensor) -> Tensor:
        """a_t: 1 where nothing is flipped, 0 where bits are coins."""
        return 1 - (t + 1).float() / STEPS

    def _flip_chance(self, t: Tensor, like: Tensor) -> Tensor:
        """(1 - a_t) / 2, shaped to broadcast."""
        return ((1 - self._kept(t)) / 2).view(-1, *(1,) * (like.ndim - 1)).to(like.device)

    def cleared(self, bits: Tensor, pinned: Tensor | None = None) -> Tensor:
        """The masked reverse chain: bits (n, bits, *grid) with those put right that look flipped.

        pinned: bool, bits that are free throughout (a hole); all others keep the input's.
        """
        generator = torch.Generator().manual_seed(0)
        count, start = self.settings["num_inference_steps"], self.settings["start"] if pinned is None else STEPS - 1
        times = torch.linspace(start, 0, count + 1).round().long()

        def drawn() -> Tensor:
            return torch.rand((1, *bits.shape[1:]), generator=generator).to(bits.device)

        mask = torch.zeros_like(bits, dtype=torch.bool) if pinned is None else pinned
        z_t = torch.where(drawn() < self._flip_chance(times[:1], bits), -bits, bits)
        for now, after in pairwise(times):
            flipped = self.ask(z_t, float(now + 1) / STEPS).sigmoid()
            if pinned is None:
                mask = mask | ((flipped > 0.5) & (z_t == bits))
            one = torch.where(z_t > 0, 1 - flipped, flipped)  # probability that the clean bit is 1
            z_t = self._earlier(z_t, one, now, after, drawn())
            free = mask if int(after) or pinned is not None else torch.ones_like(mask)
            z_t = torch.where(free, z_t, bits)
        return z_t

    def _earlier(self, z_t: Tensor, one: Tensor, now: Tensor, after: Tensor, drawn: Tensor) -> Tensor:
        """z_s from z_t and P(z_0 = 1): the Bernoulli posterior; at the last step the mean of z_0."""
        if int(after) == 0:
            return 2 * one - 1
        a_s = self._kept(after)
        step = self._kept(now) / a_s
        from_t = [(1 - step) / 2 + step * (z_t == value).float() for value in (1.0, -1.0)]
        from_0 = [a_s * one + (1 - a_s) / 2, a_s * (1 - one) + (1 - a_s) / 2]
        up, down = (t * zero for t, zero in zip(from_t, from_0, strict=True))
        return torch.where(drawn < up / (up + down), 1.0, -1.0)

    @torch.inference_mode()
    def evidence(self, x: Tensor) -> Tensor:
        bits = self._bits(x)
        change = (x - self.code.decode(self.cleared(bits))).square()
        return by_place(change, self.space)

    @torch.inference_mode()
    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """The bits of every patch that the hole touches, drawn anew given the others."""
        hole = where.expand_as(x)
        bits = self._bits(torch.where(hole, self.mean.to(x), x))
        touched = self.code.patches.pooled(hole.float()) > 0 if x.ndim > 2 else torch.ones_like(bits, dtype=torch.bool)
        return torch.where(hole, self.code.decode(self.cleared(bits, touched.expand_as(bits))), x)
