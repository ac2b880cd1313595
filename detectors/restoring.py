"""Base of the methods that train one network of their own, other than a denoiser: how it is built, called and trained,
and how a hole is filled with it.

Knows items as tensors and one network; not what the network is taught, which each method says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from detectors.denoiser import denoiser_settings
from detectors.diffusion import Diffusion
from detectors.method import Space, merge_settings
from detectors.networks import build_network
from detectors.scaling import ZScored
from detectors.training import Objective, Run, autocast, train

NETWORK_SETTINGS = ("width", "depth", "train_steps", "batch_size", "lr")


def network_settings(modality: str) -> dict[str, Any]:
    """Default settings of a network, those of the modality's denoiser."""
    known = denoiser_settings(modality)
    return {name: known[name] for name in NETWORK_SETTINGS}


class NetworkMethod(ZScored):
    """One network from an item (and more channels, if it is told more) to what the method asks of it."""

    network: nn.Module
    mean: Tensor  # (channel, *position) mean normal: what a hole is filled with at first

    @classmethod
    def settings_for(cls, modality: str, given: Mapping[str, Any]) -> dict[str, Any]:
        own = {**network_settings(modality), **cls.defaults, **cls.defaults_for.get(modality, {})}
        return merge_settings(cls.name, own, given)

    @property
    def pictures(self) -> bool:
        """Whether items are pictures or clips."""
        return len(self.space.shape) == 3

    @property
    def marks(self) -> int:
        """Channels of a mask: 1 in pictures, one a channel elsewhere."""
        return 1 if self.pictures else self.space.shape[0]

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of what the network sees, without further channels: the item's, unless a method has a code."""
        return self.space.shape

    @property
    def channels(self) -> tuple[int, int]:
        """Channels that go in and come out."""
        return self.code_shape[0], self.code_shape[0]

    def build(self) -> None:
        if "network" not in self._modules:
            inputs, outputs = self.channels
            shape = (inputs, *self.code_shape[1:])
            self.network = build_network(shape, self.settings["width"], self.settings["depth"], outputs)
            if self.pictures:  # the layout of training, so that loaded weights round the same
                self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit(self, x: Tensor, run: Run) -> None:
        self.build()
        mean = x.float().mean(0)
        if self.pictures and not self.space.aligned:
            mean = mean.mean((1, 2), keepdim=True).expand_as(mean)
        self.learn(mean=mean.contiguous())

    def teach(self, x: Tensor, run: Run, objective: Objective, steps: int, message: str) -> None:
        """Train the network on items x by `objective`, whose t runs over 0..steps-1."""
        s = self.settings
        train(
            self.network,
            Diffusion("cosine", steps=steps),
            x,
            run,
            steps=s["train_steps"],
            batch_size=s["batch_size"],
            lr=s["lr"],
            bf16=self.pictures,
            objective=objective,
            message=message,
        )

    @torch.inference_mode()
    def ask(self, x: Tensor, time: float) -> Tensor:
        """The network's output for x (n, inputs, *position) at one time in (0, 1]."""
        given = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
        with autocast(x.device, self.pictures):
            return self.network(given, torch.full((len(x),), time, device=x.device)).float()


def refill(x: Tensor, where: Tensor, start: Tensor, restore: Callable[[Tensor], Tensor], rounds: int = 4) -> Tensor:
    """x with the places `where` restored: they begin as `start` (broadcastable to x) and take the restored content, a
    few times over; all else stays as it is."""
    hole = where.expand_as(x)
    filled = torch.where(hole, start.to(x), x)
    for _ in range(rounds):
        filled = torch.where(hole, restore(filled), x)
    return filled


def by_place(change: Tensor, space: Space) -> Tensor:
    """Change of each channel (n, channel, *position) as a map: pictures and clips (n, 1, h, w), the mean over channels;
    a clip's past is what the rest is judged by and is not judged itself."""
    if change.ndim < 4:
        return change
    begun = space.channels("past").stop if space.groups and space.groups[0][0] == "past" else 0
    return change[:, begun:].mean(1, keepdim=True)
