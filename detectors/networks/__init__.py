"""Networks: each takes (x_t (n, channel, *position), time (n,) in (0, 1]) and returns (n, outputs, *position)."""

from __future__ import annotations

from torch import nn


def build_network(shape: tuple[int, ...], width: int, depth: int, outputs: int | None = None) -> nn.Module:
    """The network that suits an item's shape: rows an MLP, windows a 1-D and pictures a 2-D network.

    outputs: channels that come out (None: as many as go in).
    """
    outputs = outputs or shape[0]
    if len(shape) == 1:
        from detectors.networks.residual_mlp import ResidualMLP

        return ResidualMLP(shape[0], width, depth, outputs)
    if len(shape) == 2:
        from detectors.networks.series import SeriesNet

        return SeriesNet(shape[0], shape[1], width, depth, outputs)
    from detectors.networks.convnext import ConvNeXt

    return ConvNeXt(shape, width, depth, outputs)
