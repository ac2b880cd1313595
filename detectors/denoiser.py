"""Denoisers: what a method asks for x_0 given x_t. One is learned (a network), one is exact (Gaussian data).

Detector = denoiser + process + scoring rule: methods differ in the last, so any of them runs on any denoiser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.method import Method, Space, merge_settings
from detectors.networks import build_network
from detectors.noise import make_noise
from detectors.training import Run, autocast, train

# Settings of every method that has a denoiser; `None` = the modality's own choice below.
DENOISER_DEFAULTS: dict[str, Any] = {
    "denoiser": "network",  # "network" | "gaussian" | "corrected" (Gaussian + network) | "distilled"
    "schedule": "cosine",
    "prediction": "x0",
    "width": None,
    "depth": None,
    "train_steps": None,
    "batch_size": None,
    "lr": 2e-3,
    "shrinkage": 0.01,  # Gaussian: share of the mean variance added to the covariance
    "train_times": None,  # (first, last) time to learn; None: all of them
    "student_steps": 4,  # distilled: steps across the whole process
}
BY_MODALITY: dict[str, dict[str, Any]] = {
    "image": {"width": 128, "depth": 3, "train_steps": 200, "batch_size": 16},
    "series": {"width": 64, "depth": 3, "train_steps": 400, "batch_size": 64},
    "table": {"width": 128, "depth": 3, "train_steps": 600, "batch_size": 256},
    "video": {"width": 96, "depth": 3, "train_steps": 200, "batch_size": 16},
    "multimodal": {"width": 128, "depth": 3, "train_steps": 600, "batch_size": 256},
}


class Denoiser(nn.Module):
    """x0(x_t, t) for one diffusion process."""

    calls = 1

    def __init__(self, space: Space, diffusion: Diffusion) -> None:
        super().__init__()
        self.space, self.diffusion = space, diffusion

    def fit(self, x: Tensor, run: Run) -> None:
        raise NotImplementedError

    def estimate(self, x_t: Tensor, t: Tensor) -> Tensor:
        """E[x_0 | x_t], differentiable: x_t (n, channel, *position), t (n,) long."""
        raise NotImplementedError

    @torch.inference_mode()
    def x0(self, x_t: Tensor, t: Tensor) -> Tensor:
        """`estimate` without a gradient: what scoring asks for."""
        return self.estimate(x_t, t)

    def one_step(self, x: Tensor, t: int) -> Tensor:
        """The noise-free estimate: x scaled to step t, no noise added, denoised in one call (Tebbe & Tayyub 2024)."""
        steps = torch.full((len(x),), t, dtype=torch.long, device=x.device)
        alpha, _ = self.diffusion.at(steps, x)
        return self.x0(alpha * x, steps)

    def pullback(self, x_t: Tensor, t: Tensor, direction: Tensor) -> Tensor:
        """J^T direction, with J the Jacobian of x0 at x_t: the gradient of <x0(x_t), direction>, like x_t."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = x_t.detach().clone().requires_grad_(True)
            return torch.autograd.grad((self.estimate(leaf, t) * direction.detach().clone()).sum(), leaf)[0]

    def chain(self, x: Tensor, start: int, *, noise: str | None = "gaussian", seed: int = 0, **how: Any) -> Tensor:
        """`Diffusion.regenerate` with this denoiser and one noise for all items, so that an item is as in its batch.

        noise: a kind of `make_noise`, None for a noise-free start; how: sampler, num_inference_steps, keep, guide, ...
        """
        generator = torch.Generator().manual_seed(seed)
        one = None if noise is None else make_noise(noise, (1, *x.shape[1:]), generator, x.device).expand_as(x)
        return self.diffusion.regenerate(x, self.x0, start, noise=one, generator=generator, **how)

    def inpaint(self, x: Tensor, where: Tensor, seed: int, start: int = 600, num_inference_steps: int = 12) -> Tensor:
        """x with the places `where` regenerated given the rest."""
        hole = where.expand_as(x)
        start = min(start, self.diffusion.steps - 1)
        first = torch.where(hole, self.one_step(x, start), x)
        for begin in (start, start // 3):
            first = self.chain(first, begin, seed=seed, num_inference_steps=num_inference_steps, keep=~hole)
        return torch.where(hole, first, x)


class NetworkDenoiser(Denoiser):
    """Learned by denoising (Ho et al. 2020), in the prediction that the diffusion names."""

    def __init__(self, space: Space, diffusion: Diffusion, settings: Mapping[str, Any]) -> None:
        super().__init__(space, diffusion)
        self.settings = dict(settings)
        self.network = build_network(space.shape, settings["width"], settings["depth"])
        self.bf16 = len(space.shape) == 3  # measured: pays for pictures, not for small rows and windows

    def fit(self, x: Tensor, run: Run) -> None:
        s = self.settings
        train(
            self.network,
            self.diffusion,
            x,
            run,
            steps=s["train_steps"],
            batch_size=s["batch_size"],
            lr=s["lr"],
            bf16=self.bf16,
            times=s["train_times"],
        )

    def estimate(self, x_t: Tensor, t: Tensor) -> Tensor:
        scaled = x_t * self.diffusion.input_scale(t, x_t)
        if x_t.ndim == 4:
            scaled = scaled.contiguous(memory_format=torch.channels_last)
        with autocast(x_t.device, self.bf16):
            output = self.network(scaled, (t + 1) / self.diffusion.steps)
        return self.diffusion.to_x0(output.float(), x_t, t)


class GaussianDenoiser(Denoiser):
    """The exact posterior mean where normal data are Gaussian: no training, no network call.

    Data are seen as points: one a position in aligned images (the family of PaDiM), all positions alike in others,
    the whole window or row elsewhere (the family of PPCA). With covariance V diag(l) V^T,
    x0 = mu + V diag(a l / (a^2 l + s^2)) V^T (x_t - a mu).
    """

    calls = 0
    mean: Tensor  # (site, 1, dimension)
    values: Tensor  # (site, dimension), ascending
    vectors: Tensor  # (site, dimension, dimension)

    def __init__(self, space: Space, diffusion: Diffusion, settings: Mapping[str, Any]) -> None:
        super().__init__(space, diffusion)
        self.shrinkage = float(settings["shrinkage"])

    def points(self, x: Tensor) -> Tensor:
        """x as (site, n, dimension): each site has a Gaussian of its own."""
        if len(self.space.shape) < 3:
            return x.flatten(1)[None]
        cells = x.flatten(2).permute(2, 0, 1)  # (position, n, channel)
        return cells if self.space.aligned else cells.reshape(1, -1, cells.shape[-1])

    def unpoints(self, points: Tensor, like: Tensor) -> Tensor:
        """The inverse of `points`."""
        if len(self.space.shape) < 3:
            return points[0].view_as(like)
        cells = points.reshape(-1, len(like), like.shape[1])
        return cells.permute(1, 2, 0).reshape(like.shape)

    def fit(self, x: Tensor, run: Run) -> None:
        run.progress(0.0, "closed-form denoiser")
        points = self.points(x.float())
        mean = points.mean(1, keepdim=True)
        centred = points - mean
        covariance = centred.transpose(1, 2) @ centred / max(1, points.shape[1] - 1)
        size = covariance.shape[-1]
        floor = self.shrinkage * covariance.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-6
        self._learn(mean, covariance + floor * torch.eye(size, device=x.device))
        run.progress(1.0, "closed-form denoiser")

    def absorb(self, x: Tensor, seen: int) -> None:
        """Take further normal items in, as if they had been among the `seen` items of the fit."""
        points = self.points(x.float())
        share = len(x) / (len(x) + seen)
        mean = points.mean(1, keepdim=True)
        centred, moved = points - mean, mean - self.mean
        own = self.vectors * self.values[:, None] @ self.vectors.transpose(1, 2)
        new = centred.transpose(1, 2) @ centred / points.shape[1]
        between = share * (1 - share) * moved.transpose(1, 2) @ moved
        self._learn(self.mean + share * moved, (1 - share) * own + share * new + between)

    def widen(self, factor: float) -> None:
        """Expect `factor` times the variance, and in no direction less than the mean one: anything is possible."""
        self.register_buffer("values", factor * self.values.clamp_min(float(self.values.mean())))

    def _learn(self, mean: Tensor, covariance: Tensor) -> None:
        values, vectors = torch.linalg.eigh(covariance)
        self.register_buffer("mean", mean)
        self.register_buffer("values", values.clamp_min(1e-8))
        self.register_buffer("vectors", vectors.contiguous())  # as a saved one lies: sums round the same

    def estimate(self, x_t: Tensor, t: Tensor) -> Tensor:
        points, (alpha, gain) = self.points(x_t), self._gain(x_t, t)
        return self.unpoints(self.mean + self._weighed(points - alpha * self.mean, gain), x_t)

    @torch.inference_mode()
    def pullback(self, x_t: Tensor, t: Tensor, direction: Tensor) -> Tensor:
        """Exact: the Jacobian V diag(gain) V^T is symmetric and the same at every x_t."""
        return self.unpoints(self._weighed(self.points(direction), self._gain(x_t, t)[1]), x_t)

    def diagonal(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Diagonal of the Jacobian of x0, like x_t: how far each number is kept at t."""
        gain = self._gain(x_t, t)[1]
        return self.unpoints((gain @ self.vectors.square().transpose(1, 2)).expand_as(self.points(x_t)), x_t)

    def inpaint(self, x: Tensor, where: Tensor, seed: int, start: int = 600, num_inference_steps: int = 12) -> Tensor:
        """Windows and rows: the exact conditional mean of the hole given the rest, mu_h - P_hh^-1 P_ho (x_o - mu_o)
        with the precision P; it needs no chain and no seed. Pictures: as other denoisers."""
        if len(self.space.shape) == 3:
            return super().inpaint(x, where, seed, start, num_inference_steps)
        holes = where.expand_as(x).flatten(1)
        mean, precise = self.mean[0, 0], self.values[0].double().reciprocal()
        out = x.flatten(1).clone()
        patterns, which = torch.unique(holes, dim=0, return_inverse=True)
        for number, hole in enumerate(patterns):
            if not bool(hole.any()):
                continue
            rows = torch.nonzero(which == number)[:, 0]
            known = ((out[rows] - mean) * ~hole).double()
            basis = self.vectors[0][hole].double()  # (hidden, dimension)
            pull = (known @ self.vectors[0].double() * precise) @ basis.T
            filled = mean[hole] - torch.linalg.solve((basis * precise) @ basis.T, pull.T).T.to(mean)
            out[rows[:, None], hole.nonzero()[:, 0]] = filled
        return out.view_as(x)

    def _gain(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha (1, point or 1, 1) and the shrinkage of each direction (site, point or 1, dimension) at t."""
        alpha, sigma = (level.view(-1) for level in self.diffusion.at(t, x_t))
        if bool((t == t[0]).all()):
            alpha, sigma = alpha[:1], sigma[:1]
        else:  # points of one place: item after item
            repeats = self.points(x_t).shape[1] // len(t)
            alpha, sigma = (level.repeat(repeats) for level in (alpha, sigma))
        alpha, sigma = alpha[None, :, None], sigma[None, :, None]
        values = self.values[:, None]
        return alpha, alpha * values / (alpha**2 * values + sigma**2)

    def _weighed(self, points: Tensor, gain: Tensor) -> Tensor:
        return (points @ self.vectors * gain) @ self.vectors.transpose(1, 2)

    def distance(self, x: Tensor, snr: float) -> Tensor:
        """(x - mu)^T (C + I / snr)^-1 (x - mu), a number a point: (n, 1, *position) for pictures, else (n, 1)."""
        weights = (self.values + 1 / snr).rsqrt()[:, None]
        z = ((self.points(x) - self.mean) @ self.vectors) * weights
        squares = z.square().sum(2)  # (site, n) or, with one site, all points of all items
        if x.ndim < 4:
            return squares[0][:, None]
        return squares.reshape(-1, len(x)).T.reshape(len(x), 1, *x.shape[2:])


class _Correction(nn.Module):
    """Exact Gaussian estimate + sigma_t * network: what `CorrectedDenoiser` trains."""

    def __init__(self, gaussian: GaussianDenoiser, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._gaussian = (gaussian,)  # a tuple: it is not trained, averaged or checkpointed

    def forward(self, x_t: Tensor, time: Tensor) -> Tensor:
        gaussian = self._gaussian[0]
        diffusion = gaussian.diffusion
        t = (time * diffusion.steps).round().long() - 1
        with torch.no_grad(), autocast(x_t.device, False):
            expected = gaussian.estimate(x_t.float(), t)
        return expected + diffusion.at(t, x_t)[1] * self.network(x_t, time).float()


class CorrectedDenoiser(Denoiser):
    """The Gaussian estimate with a learned correction, which starts at zero.

    The network need not learn what linear algebra knows already: it is better than the Gaussian from the first steps on
    and adds what a Gaussian of single places lacks, the surroundings. (Preconditioning in the sense of Karras et al.
    2022, with the posterior mean of a Gaussian in place of a multiple of x_t.)
    """

    def __init__(self, space: Space, diffusion: Diffusion, settings: Mapping[str, Any]) -> None:
        super().__init__(space, diffusion)
        if diffusion.prediction != "x0" or diffusion.schedule == "ve":
            raise AnomalyError("denoiser='corrected' needs prediction='x0' and a variance-preserving schedule.")
        self.settings = dict(settings)
        self.gaussian = GaussianDenoiser(space, diffusion, settings)
        self.network = build_network(space.shape, settings["width"], settings["depth"])
        self.bf16 = len(space.shape) == 3

    def fit(self, x: Tensor, run: Run) -> None:
        s = self.settings
        self.gaussian.fit(x, run.part(0.0, 0.05, "gaussian"))
        self.gaussian.to(run.device)
        train(
            _Correction(self.gaussian, self.network),
            self.diffusion,
            x,
            run.part(0.05, 1.0, "correction"),
            steps=s["train_steps"],
            batch_size=s["batch_size"],
            lr=s["lr"],
            bf16=self.bf16,
            times=s["train_times"],
        )

    def estimate(self, x_t: Tensor, t: Tensor) -> Tensor:
        given = x_t.contiguous(memory_format=torch.channels_last) if x_t.ndim == 4 else x_t
        with autocast(x_t.device, self.bf16):
            correction = self.network(given, (t + 1) / self.diffusion.steps).float()
        return self.gaussian.estimate(x_t, t) + self.diffusion.at(t, x_t)[1] * correction


def make_denoiser(space: Space, settings: Mapping[str, Any]) -> Denoiser:
    """The denoiser that the settings name. Raises AnomalyError for an unknown kind."""
    diffusion = Diffusion(settings["schedule"], settings["prediction"])
    if settings["denoiser"] == "network":
        return NetworkDenoiser(space, diffusion, settings)
    if settings["denoiser"] == "gaussian":
        return GaussianDenoiser(space, diffusion, settings)
    if settings["denoiser"] == "corrected":
        return CorrectedDenoiser(space, diffusion, settings)
    if settings["denoiser"] == "distilled":
        from detectors.distillation import DistilledDenoiser

        return DistilledDenoiser(space, diffusion, settings)
    raise AnomalyError(f"denoiser={settings['denoiser']!r} is unknown; known: network, gaussian, corrected, distilled.")


def denoiser_settings(modality: str) -> dict[str, Any]:
    """Default denoiser settings of a modality."""
    return {**DENOISER_DEFAULTS, **BY_MODALITY.get(modality, {})}


class DenoisingMethod(Method):
    """Base of the methods that score with a denoiser; a hybrid may hand several of them the same fitted one."""

    own: Denoiser

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        self._shared: tuple[Denoiser, ...] = ()  # a tuple: a shared denoiser is saved by its owner only

    @classmethod
    def settings_for(cls, modality: str, given: Mapping[str, Any]) -> dict[str, Any]:
        own = {**denoiser_settings(modality), **cls.defaults, **cls.defaults_for.get(modality, {})}
        return merge_settings(cls.name, own, given)

    @property
    def denoiser_key(self) -> str:
        """Equal keys mean that one fitted denoiser serves both methods."""
        return ",".join(f"{name}={self.settings[name]}" for name in sorted(DENOISER_DEFAULTS))

    @property
    def denoiser(self) -> Denoiser:
        return self._shared[0] if self._shared else self.own

    def share(self, denoiser: Denoiser) -> None:
        """Use a denoiser that another method owns."""
        self._shared = (denoiser,)

    def build(self) -> None:
        """Make the method's own denoiser, unless one is shared (loading needs it before the weights)."""
        if not self._shared and "own" not in self._modules:
            self.own = make_denoiser(self.space, self.settings)

    def fit(self, x: Tensor, run: Run) -> None:
        if not self._shared:
            self.build()
            self.own.to(run.device).fit(x, run)

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        return self.denoiser.inpaint(x, where, seed)
