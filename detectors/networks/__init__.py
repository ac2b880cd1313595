"""Denoising networks: each takes (x_t (n, channel, *position), time (n,) in (0, 1]) and returns the shape of x_t."""

from __future__ import annotations

from torch import nn


def build_network(shape: tuple[int, ...], width: int, depth: int) -> nn.Module:
    """The network that suits an item's shape: rows an MLP, windows a 1-D and pictures a 2-D network."""
    if len(shape) == 1:
        from detectors.networks.residual_mlp import ResidualMLP

        return ResidualMLP(shape[0], width, depth)
    if len(shape) == 2:
        from detectors.networks.series import SeriesNet

        return SeriesNet(shape[0], shape[1], width, depth)
    from detectors.networks.convnext import ConvNeXt

    return ConvNeXt(shape, width, depth)
