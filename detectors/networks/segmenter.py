"""Segmenter: where does an item differ from its normal version in a way that matters? And the loss it learns by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.networks import build_network

PRIOR = 1.5  # a place is normal until shown odd: what the segmenter takes off every logit (Lin et al. 2017)
ODD_WEIGHT = 4.0  # of odd places in the loss: they are few


class Segmenter(nn.Module):
    """(item, its normal version), both (n, channel, *position) -> logits of being odd: pictures (n, 1, h, w), rows and
    windows like the item. It sees the item, the difference and its size."""

    def __init__(self, shape: tuple[int, ...], width: int, depth: int) -> None:
        super().__init__()
        seen, marks = (3 * shape[0], *shape[1:]), 1 if len(shape) == 3 else shape[0]
        self.network = build_network(seen, width, depth, marks)
        if len(shape) == 3:  # the layout of training, so that loaded weights round the same
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, normal: Tensor) -> Tensor:
        difference = x - normal
        seen = torch.cat([x, difference, difference.abs()], 1)
        if seen.ndim == 4:
            seen = seen.contiguous(memory_format=torch.channels_last)
        return self.network(seen, torch.ones(len(x), device=x.device)).float() - PRIOR


def mask_loss(logits: Tensor, where: Tensor) -> Tensor:
    """Focal loss (Lin et al. 2017, gamma 2) of logits plus smooth L1 of the probabilities, one an item: (n,)."""
    truth = where.float()
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    odd = logits.sigmoid()
    missed = torch.where(where, 1 - odd, odd)
    weight = torch.where(where, ODD_WEIGHT, 1.0)
    loss = weight * (5 * missed.square() * entropy + F.smooth_l1_loss(odd, truth, reduction="none"))
    return loss.flatten(1).mean(1)


def mask_evidence(logits: Tensor) -> Tensor:
    """Logits as -log of the probability of being normal: it does not saturate as a probability does."""
    return F.softplus(logits)
