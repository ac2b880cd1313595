"""Who needs a closer look: where an item's evidence stands among held-out normals, inside a method.

Knows maps of items, (n, channel or 1, *position), not samples or detectors: methods that spend more on some items than
on others (a cascade, a score that refines) decide by it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from detectors.calibration import Calibration
from detectors.method import Learned
from detectors.scaling import row_evidence, row_scale


def item_scores(maps: Tensor) -> Tensor:
    """(n,) one number an item: rows their sum, windows the mean over stamps of the root of the mean over channels,
    pictures the mean of the highest hundredth of cells, at least five."""
    if maps.ndim == 2:
        return maps.sum(1)
    if maps.ndim == 3:
        return maps.clamp_min(0).mean(1).sqrt().mean(1)
    cells = maps.sum(1).flatten(1)
    return cells.topk(min(cells.shape[1], max(5, cells.shape[1] // 100))).values.mean(1)


class Standing(Learned):
    """Puts one method's maps on a common scale and says how usual each item is among held-out normals."""

    scale: Tensor  # rows: of `row_scale`; else mean and deviation
    scores: Tensor  # (m,) of held-out normals

    def learn_from(self, maps: Tensor) -> None:
        """See the maps of normal items that the fit did not."""
        if maps.ndim == 2:
            self.learn(scale=row_scale(maps))
        else:
            maps = _one_channel(maps)
            self.learn(scale=torch.stack([maps.mean(), maps.std().clamp_min(1e-6)]))
        self.learn(scores=item_scores(self.scaled(maps)))

    def scaled(self, maps: Tensor) -> Tensor:
        """The maps as deviations from what normals have; a picture's channels are added up."""
        if maps.ndim == 2:
            return row_evidence(maps, self.scale)
        return (_one_channel(maps) - self.scale[0]) / self.scale[1]

    def p_value(self, scaled: Tensor) -> Tensor:
        """(n,) p-values of items with these scaled maps."""
        known = Calibration(self.scores.cpu().numpy())
        return torch.from_numpy(known.p_value(item_scores(scaled).cpu().numpy())).to(scaled.device)

    def unclear(self, scaled: Tensor, band: tuple[float, float]) -> Tensor:
        """(n,) bool: neither plainly normal (p above the band) nor plainly anomalous (p below it)."""
        p = self.p_value(scaled)
        return (p > band[0]) & (p <= band[1])


def _one_channel(maps: Tensor) -> Tensor:
    return maps.sum(1, keepdim=True) if maps.ndim == 4 else maps
