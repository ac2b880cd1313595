"""Cold diffusion: items are corrupted by synthetic anomalies instead of noise, and a network restores them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.restoring import NetworkMethod, by_place, refill
from detectors.synthetic import plant_half
from detectors.training import Run

STEPS = 100


class Cold(NetworkMethod):
    """DISYRE (Naval Marimont et al., 2024), on cold diffusion (Bansal et al., 2023): x_t = (1 - a_t) x + a_t c(x).

    c plants a synthetic anomaly, a_t runs from 0 to 1 over 100 steps, and the network learns x from x_t and t: not to
    denoise but to undo what is odd and leave the rest alone. It predicts the correction, so that leaving alone is the
    easy answer. Map: mean over `times` of |x - x0(x, t)|, one call a time, no chain (pictures: mean over channels),
    z-scored by held-out normals.
    Settings: times (steps of 100), and those of a network. Calls a sample: len(times). Measured (seed 0): transistor in
    pixel space, width 48, depth 2: image AUROC .650, pixel AUROC .728, AUPRO .293, far below `default` (.885, .916,
    .765); tables Ionosphere and WDBC: AUROC .963 and .998. Choose it for tables.
    """

    name = "cold"
    defaults = {"times": (30, 60, 90)}

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        if not self.settings["times"] or not all(0 <= t < STEPS for t in self.settings["times"]):
            raise AnomalyError(f"cold needs times between 0 and {STEPS - 1}.")

    @property
    def calls(self) -> int:
        return len(self.settings["times"])

    def fit(self, x: Tensor, run: Run) -> None:
        super().fit(x, run)

        def objective(network: nn.Module, batch: Tensor, noise: Tensor, t: Tensor) -> Tensor:
            odd, _ = plant_half(batch, run.generator, x, self.space.groups)
            strength = ((t + 1).float() / STEPS).view(-1, *(1,) * (batch.ndim - 1))
            x_t = batch + strength * (odd - batch)
            given = x_t.contiguous(memory_format=torch.channels_last) if x_t.ndim == 4 else x_t
            restored = x_t + network(given, (t + 1) / STEPS).float()
            return (restored - batch).square().flatten(1).mean(1)

        self.teach(x, run, objective, STEPS, "learning to undo synthetic anomalies")

    def restored(self, x: Tensor, t: int) -> Tensor:
        """x0(x, t) in one call."""
        return x + self.ask(x, (t + 1) / STEPS)

    def evidence(self, x: Tensor) -> Tensor:
        change = torch.stack([(x - self.restored(x, int(t))).abs() for t in self.settings["times"]]).mean(0)
        return by_place(change, self.space)

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        return refill(x, where, self.mean, lambda filled: self.restored(filled, STEPS - 1))
