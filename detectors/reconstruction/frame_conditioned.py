"""Frame-conditioned diffusion: what a clip shows now, predicted from what it showed before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.method import Method, Space
from detectors.networks import build_network
from detectors.noise import make_noise
from detectors.scaling import NormalScale
from detectors.training import Run, autocast, train


class FrameConditioned(Method):
    """Motion-conditioned diffusion (MoCoDAD, Flaborea et al., ICCV 2023; FPDM, Yan et al., ICCV 2023) on cells.

    The space's group "past" stays clean and is the condition; the other groups, what is seen now, are noised. The
    network learns x0 of the present given both. Scoring noises the present to step `start`, `draws` times with fixed
    noises, and takes each back in one call; a cell's error is the smallest over the draws (MoCoDAD's best of k: a
    future that was possible is forgiven), d = min_k |x - x0_k|^2, in the spread of held-out normals. Map: z of d;
    score: its reduction. Deterministic. (The papers run whole chains of 10 to 50 calls; here a draw is one call.)
    Settings: start (step of 1000), draws, width, depth, train_steps, batch_size. Calls a sample: draws (4).
    Choose it for clips in which what is odd is how things go on, rather than how they look.
    """

    name = "frame_conditioned"
    modalities = ("video",)
    defaults = {"start": 600, "draws": 4, "width": 96, "depth": 3, "train_steps": 300, "batch_size": 16}

    past_scale: Tensor  # () spread of the past's channels, which the modality lays small

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        if not 1 <= self.settings["start"] < 1000 or self.settings["draws"] < 1:
            raise AnomalyError("frame_conditioned needs start between 1 and 999 and at least one draw.")
        self.past = space.channels("past").stop  # the group comes first
        self.diffusion = Diffusion("cosine")
        self.scale = NormalScale()

    @property
    def calls(self) -> int:
        return int(self.settings["draws"])

    def build(self) -> None:
        if "network" not in self._modules:
            self.network = build_network(self.space.shape, self.settings["width"], self.settings["depth"])

    def fit(self, x: Tensor, run: Run) -> None:
        self.build()
        self.learn(past_scale=x[:, : self.past].std().clamp_min(1e-6))
        steps, batch = self.settings["train_steps"], self.settings["batch_size"]
        train(self.network, self.diffusion, x, run, steps=steps, batch_size=batch, objective=self._objective,
              message="learning how things go on")  # fmt: skip

    def _objective(self, network: nn.Module, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        x0 = self._seen_by(network, x, self.diffusion.add_noise(x, noise, t), t)
        return (x0 - x[:, self.past :]).square().flatten(1).mean(1)

    def _seen_by(self, network: nn.Module, x: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """x0 of the present, from the clean past of x and the noised present of x_t."""
        given = torch.cat([x[:, : self.past] / self.past_scale, x_t[:, self.past :]], 1)
        given = given.contiguous(memory_format=torch.channels_last)
        return network(given, (t + 1) / self.diffusion.steps).float()[:, self.past :]

    @torch.inference_mode()
    def predicted(self, x: Tensor, draw: int) -> Tensor:
        """The present as one draw of noise brings it back: (n, channel of the present, h, w)."""
        generator = torch.Generator().manual_seed(draw)
        noise = make_noise("gaussian", (1, *x.shape[1:]), generator, x.device).expand_as(x)
        t = torch.full((len(x),), int(self.settings["start"]), dtype=torch.long, device=x.device)
        with autocast(x.device):
            return self._seen_by(self.network, x, self.diffusion.add_noise(x, noise, t), t)

    def distance(self, x: Tensor) -> Tensor:
        """The smallest squared error of a cell over the draws: (n, 1, h, w)."""
        now = x[:, self.past :]
        errors = [(now - self.predicted(x, k)).square().sum(1, keepdim=True) for k in range(self.settings["draws"])]
        return torch.stack(errors).amin(0)

    def calibrate(self, x: Tensor) -> None:
        self.scale.see(self.distance(x), self.space)

    def maps(self, x: Tensor) -> Tensor:
        return self.scale.z(self.distance(x))

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """The present as it should have gone on from the past, without a look at what it shows in the hole."""
        hole = where.expand_as(x)
        blank = torch.where(hole, torch.zeros_like(x), x)
        filled = torch.cat([x[:, : self.past], self.predicted(blank, seed)], 1)
        return torch.where(hole, filled, x)
