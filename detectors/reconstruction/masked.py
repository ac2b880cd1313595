"""Masked reconstruction: each region, or each band of frequencies, is hidden in turn and rebuilt from the rest."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.denoiser import DenoisingMethod
from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.maps import residual
from detectors.method import Space
from detectors.noise import make_noise
from detectors.scaling import NormalScale
from detectors.training import Run, train

FORMS = ("patch", "band")
PARTS = 4  # patches hidden together, none touching another along an axis; or bands
HIDDEN = 0.25  # share of patches hidden in training


class Masked(DenoisingMethod):
    """pDDPM (Behrendt et al., MIDL 2023) and mDDPM (Iqbal et al., MLMI 2023): a model that fills in what it cannot see.

    The network learns to rebuild parts that are noised to a random level while the rest is clean (loss on the hidden
    part). form "patch": `patch` x `patch` cells, a quarter of them at a time, so that each lies among clean neighbours;
    "band": a ring of spatial frequencies. Map: squared error of each part when hidden, rebuilt in one step,
    against held-out normals; patches are taken on two grids half a patch apart and averaged.
    Settings: form, patch (cells), start (step of 1000: how well a part is hidden), a network's usual ones.
    Calls a sample: 8 (patch), 4 (band). Choose "patch" where a part is judged by its surroundings: nothing of it is
    seen, so nothing odd can be copied; "band" where texture or sharpness is what breaks.
    Measured (transistor in plain pixels): .746 / .704 / .453 (patch), .704 / .761 / .396 (band): the weakest here, and
    behind `harmonised` on the same pixels (.858 / .911 / .675).
    """

    name = "masked"
    modalities = ("image", "video")  # series are imputed, rows masked, by methods of their own
    defaults = {"form": "patch", "patch": 3, "start": 800}

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        if self.settings["form"] not in FORMS:
            raise AnomalyError(f"form={self.settings['form']!r} is unknown; known: {', '.join(FORMS)}.")
        if self.settings["denoiser"] != "network":
            raise AnomalyError("masked needs denoiser='network': only a network can learn to fill in.")
        self.error = NormalScale()

    @property
    def calls(self) -> int:
        return self.denoiser.calls * PARTS * (2 if self.settings["form"] == "patch" else 1)

    def fit(self, x: Tensor, run: Run) -> None:
        """A network of its own: a shared one has never seen a clean surrounding."""
        self.build()
        s, own = self.settings, self.own.to(run.device)
        network = own.get_submodule("network")
        train(
            network,
            own.diffusion,
            x,
            run,
            steps=s["train_steps"],
            batch_size=s["batch_size"],
            lr=s["lr"],
            objective=self._objective(own.diffusion),
            message="learning to fill in",
        )

    def _objective(self, diffusion: Diffusion) -> Any:
        def loss(network: nn.Module, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
            parts = self._random_parts(noise)
            output = network(self._hidden(x, noise, t, parts, diffusion), (t + 1) / diffusion.steps)
            error = self._part(diffusion.to_x0(output.float(), x, t) - x, parts)
            return error.square().flatten(1).mean(1) / HIDDEN

        return loss

    # --- parts: masks over cells, or over frequencies, (n or 1, 1, h, w) or (n or 1, 1, h, w // 2 + 1) -------------
    def _part(self, x: Tensor, parts: Tensor) -> Tensor:
        """x with all but the parts taken away."""
        if self.settings["form"] == "patch":
            return x * parts
        spectrum = torch.fft.rfft2(x.float())
        return torch.fft.irfft2(spectrum * parts, s=x.shape[2:])

    def _hidden(self, x: Tensor, noise: Tensor, t: Tensor, parts: Tensor, diffusion: Diffusion) -> Tensor:
        """x with the parts noised to level t and the rest as it is."""
        return x + self._part(diffusion.add_noise(x, noise, t) - x, parts)

    def _random_parts(self, noise: Tensor) -> Tensor:
        """For training: what to hide in each item, drawn from its noise so that no other randomness is needed."""
        if self.settings["form"] == "band":
            rings = self._rings(noise)
            chosen = (noise[:, 0].flatten(1).sum(1).abs() * 1e3).long() % PARTS
            return rings[chosen.to(rings.device)]
        side, (height, width) = self.settings["patch"], noise.shape[2:]
        lottery = F.adaptive_avg_pool2d(noise[:, :1].float(), (-(-height // side), -(-width // side)))
        bound = lottery.flatten(1).quantile(1 - HIDDEN, dim=1).view(-1, 1, 1, 1)
        drawn = (lottery > bound).float().repeat_interleave(side, 2).repeat_interleave(side, 3)
        return drawn[:, :, :height, :width]

    def _all_parts(self, x: Tensor) -> list[list[Tensor]]:
        """For scoring: covers of the item, each a list of disjoint parts that make up the whole."""
        if self.settings["form"] == "band":
            return [[ring[None] for ring in self._rings(x)]]
        side, (height, width) = self.settings["patch"], x.shape[2:]
        covers = []
        for shift in (0, side // 2):
            row = (torch.arange(height, device=x.device) + shift) // side % 2
            column = (torch.arange(width, device=x.device) + shift) // side % 2
            which = 2 * row[:, None] + column
            covers.append([(which == part).float()[None, None] for part in range(PARTS)])
        return covers

    def _rings(self, x: Tensor) -> Tensor:
        """(PARTS, 1, h, w // 2 + 1): rings of spatial frequency, an octave each, the lowest with the mean."""
        height, width = x.shape[2:]
        down = torch.fft.fftfreq(height, device=x.device)[:, None]
        across = torch.fft.rfftfreq(width, device=x.device)[None]
        octave = torch.log2(((down**2 + across**2).sqrt() / 0.5).clamp_min(1e-6)) + PARTS
        ring = octave.floor().clamp(0, PARTS - 1)
        return torch.stack([(ring == part).float()[None] for part in range(PARTS)])

    # --- scoring ---------------------------------------------------------------------------------------------------
    def calibrate(self, x: Tensor) -> None:
        self.error.see(self._errors(x), self.space)

    def maps(self, x: Tensor) -> Tensor:
        return self.error.z(self._errors(x))

    def _errors(self, x: Tensor) -> Tensor:
        """Squared error of every part when hidden, (n, 1, h, w)."""
        covers, generator = self._all_parts(x), torch.Generator().manual_seed(0)
        noise = make_noise("gaussian", (1, *x.shape[1:]), generator, x.device).expand_as(x)
        t = torch.full((len(x),), int(self.settings["start"]), dtype=torch.long, device=x.device)
        total = torch.zeros_like(x[:, :1])
        for parts in covers:
            for part in parts:
                rebuilt = self.denoiser.x0(self._hidden(x, noise, t, part, self.denoiser.diffusion), t)
                total += residual(self._part(x, part), self._part(rebuilt, part))
        return total / len(covers)
