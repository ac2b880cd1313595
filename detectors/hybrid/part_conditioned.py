"""Each part of a multimodal sample, predicted from the others: what breaks is the relation between parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.method import Method, Space
from detectors.networks import build_network
from detectors.scaling import share_of
from detectors.training import Run, train

FORMS = ("corrected", "gaussian")


class PartConditioned(Method):
    """Masked diffusion over parts (after pDDPM, Behrendt et al., MIDL 2023; MMCCD, Liang et al., MICCAI-W 2023).

    A part is noised to the last step, that is hidden, and estimated in one call from the others, which stay clean. The
    estimate is the conditional mean of a Gaussian (closed form) plus a learned correction, trained with random subsets
    of the parts hidden. With r the residual of a part's numbers and S its covariance among held-out normals, a part's
    evidence is r^T S^-1 r, less its mean and over its variance a mean among these normals (about nats; for Gaussian
    data it is what the sample's oddness loses when the part is left out); score: the sum. Map: a part's evidence shared
    out by r_j^2 / S_jj. So a part that is normal by itself but does not fit the others gets the share.
    Settings: form "corrected" or "gaussian" (no network), width, depth, train_steps, shrinkage.
    Calls a sample: one a part ("gaussian": 0).
    Choose it where the relation between the parts is what matters; with two parts it cannot say which one is wrong.
    """

    name = "part_conditioned"
    modalities = ("multimodal",)
    defaults = {"form": "corrected", "width": 96, "depth": 2, "train_steps": 500, "shrinkage": 0.05}

    mean: Tensor  # (d,)
    covariance: Tensor  # (d, d)
    gain: Tensor  # (part, d, d): numbers of a hidden part from those of the others, zero elsewhere
    spread: Tensor  # (d, d) precision of the residuals, one block a part
    variance: Tensor  # (d,) of the residuals
    level: Tensor  # (part, 2) of a part's evidence among held-out normals: mean, and variance over mean

    def __init__(self, space: Space, **settings: object) -> None:
        super().__init__(space, **settings)
        if self.settings["form"] not in FORMS:
            raise AnomalyError(f"form={self.settings['form']!r} is unknown; known: {', '.join(FORMS)}.")
        sizes = [size for _, size in space.groups] or [1] * space.shape[0]
        owners = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        self.hides = nn.functional.one_hot(owners).T.bool()  # (part, d)

    @property
    def calls(self) -> int:
        return len(self.hides) if self.settings["form"] == "corrected" else 0

    def build(self) -> None:
        if self.settings["form"] == "corrected" and "network" not in self._modules:
            size = 2 * self.space.shape[0]
            self.network = build_network((size,), self.settings["width"], self.settings["depth"])

    # --- fit -------------------------------------------------------------------------------------------------------
    def fit(self, x: Tensor, run: Run) -> None:
        self.build()
        x = x.float()
        mean = x.mean(0)
        covariance = torch.cov(x.T.double())
        covariance += self.settings["shrinkage"] * covariance.diagonal().mean() * torch.eye(len(covariance)).to(x)
        gains = torch.stack([_gain(covariance, hidden.to(x.device)) for hidden in self.hides])
        self.learn(mean=mean, covariance=covariance.float(), gain=gains.float())
        if self.settings["form"] == "corrected":
            steps = self.settings["train_steps"]
            train(self.network, Diffusion("cosine"), x, run, steps=steps, batch_size=256, lr=1e-3, bf16=False,
                  objective=self._objective, message="learning parts from one another")  # fmt: skip
        self._learn_spread(self.residuals(x))
        run.progress(1.0, "learning parts from one another")

    def _objective(self, network: nn.Module, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """A part a row is hidden, chosen by the row's noise so that the draw stays with the run's generator."""
        part = (noise[:, 0].argsort().argsort() * len(self.hides)) // len(x)
        hidden = self.hides.to(x.device)[part]
        residual = (x - self._expected(x, part)) * hidden
        output = network(torch.cat([(x - self.mean) * ~hidden, hidden.float()], 1), torch.ones(len(x), device=x.device))
        return ((output[:, : x.shape[1]] - residual) * hidden).square().sum(1) / hidden.sum(1)

    def _expected(self, x: Tensor, part: Tensor) -> Tensor:
        """The Gaussian's estimate of the hidden numbers: (n, d), zero elsewhere. part (n,) hidden in each row."""
        out = torch.zeros_like(x)
        for number in range(len(self.hides)):
            rows = part == number
            out[rows] = self.mean * self.hides[number].to(x.device) + (x[rows] - self.mean) @ self.gain[number].T
        return out

    @torch.no_grad()
    def residuals(self, x: Tensor) -> Tensor:
        """(n, d): each part less its estimate from the others."""
        out = torch.zeros_like(x)
        for number, hides in enumerate(self.hides):
            hidden = hides.to(x.device)
            estimate = self._expected(x, torch.full((len(x),), number, device=x.device))
            if self.settings["form"] == "corrected":
                given = torch.cat([(x - self.mean) * ~hidden, hidden.float().expand_as(x)], 1)
                estimate = estimate + self.network(given, torch.ones(len(x), device=x.device))[:, : x.shape[1]]
            out = torch.where(hidden, x - estimate, out)
        return out

    # --- calibrate, score ------------------------------------------------------------------------------------------
    def calibrate(self, x: Tensor) -> None:
        self._learn_spread(self.residuals(x.float()))

    def _learn_spread(self, residual: Tensor) -> None:
        """Precision of the residuals by part, and the level of each part's evidence."""
        size = residual.shape[1]
        precision = torch.zeros(size, size, dtype=torch.float64, device=residual.device)
        second = (residual.T @ residual).double() / max(1, len(residual))
        for hides in self.hides.to(residual.device):
            own = second[hides][:, hides]
            ridge = 0.1 * own.diagonal().mean() + 1e-6
            at = hides.nonzero().ravel()
            precision[at[:, None], at] = torch.linalg.inv(own + ridge * torch.eye(len(own)).to(own))
        self.learn(spread=precision.float(), variance=second.diagonal().float() + 1e-6)
        evidence = self._evidence(residual)
        mean = evidence.mean(0).clamp_min(1e-6)
        self.learn(level=torch.stack([mean, (evidence.var(0) / mean).clamp_min(1e-3)], 1))

    def _evidence(self, residual: Tensor) -> Tensor:
        """(n, part): squared residuals in their own deviations."""
        each = (residual @ self.spread) * residual
        owns = self.hides.to(residual.device).float()
        return each @ owns.T

    def maps(self, x: Tensor) -> Tensor:
        residual = self.residuals(x.float())
        z = (self._evidence(residual) - self.level[:, 0]) / self.level[:, 1]
        out = torch.zeros_like(residual)
        for number, hides in enumerate(self.hides.to(x.device)):
            out[:, hides] = share_of(z[:, number], residual[:, hides].square() / self.variance[hides] + 1e-12)
        return out

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """`where` as expected given all the rest, of the same part and of the others: no sampling."""
        hole = where.expand_as(x)
        return torch.where(hole, self._filled(x.float(), hole), x)

    def _filled(self, x: Tensor, hole: Tensor) -> Tensor:
        out = x.clone()
        covariance = self.covariance.double()
        patterns, member = torch.unique(hole, dim=0, return_inverse=True)
        for number, gap in enumerate(patterns):
            rows = member == number
            if gap.any():
                step = (x[rows] - self.mean) @ _gain(covariance, gap)[gap].T.float()
                out[rows.nonzero(), gap.nonzero().ravel()] = self.mean[gap] + step
        return out


def _gain(covariance: Tensor, hidden: Tensor) -> Tensor:
    """(d, d): takes offsets of the seen numbers to the expected offsets of the hidden ones."""
    out = torch.zeros_like(covariance)
    seen = ~hidden
    if seen.any():
        solved = torch.linalg.solve(covariance[seen][:, seen], covariance[seen][:, hidden])
        out[hidden.nonzero(), seen.nonzero().ravel()] = solved.T
    return out
