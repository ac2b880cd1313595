"""Does a flag hang on one model, or on a hair's breadth? How many ways of looking at a sample agree on it.

A hybrid's members are asked one by one; a single method judges slightly perturbed copies. Knows p-values by name and
encoded items; not samples, files or how a detector makes its p-values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

COPIES = 5
NOISE = 0.1  # standard deviations that a copy is perturbed by


@dataclass(frozen=True)
class Stability:
    """In how many of how many runs a sample was flagged."""

    agree: int
    of: int
    over: str  # "members" | "perturbed copies"

    @property
    def share(self) -> float:
        """0..1."""
        return self.agree / max(1, self.of)


def agreement(p_values: np.ndarray, bar: float, over: str) -> list[Stability]:
    """One a sample, from p-values (run, n): a run agrees where p is at most `bar`."""
    return [Stability(int(agree), len(p_values), over) for agree in (p_values <= bar).sum(0)]


def perturbed(x: Tensor, copy: int) -> Tensor:
    """x (n, channel, *position) with the noise of one copy, the same for every item, so that an item is judged alone as
    in a batch."""
    generator = torch.Generator().manual_seed(copy)
    return x + NOISE * torch.randn((1, *x.shape[1:]), generator=generator).to(x)


def copies(x: Tensor, batch: int) -> Iterator[Iterator[Tensor]]:
    """The batches of each perturbed copy of x."""
    for copy in range(COPIES):
        yield iter(perturbed(x, copy).split(batch))
