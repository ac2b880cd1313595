"""The diffusion process: noise schedules, the forward process, x0 estimates and samplers, on diffusers' schedulers.

One notation serves every schedule: x_t = alpha_t x_0 + sigma_t eps with t in 0..steps-1. Variance-preserving schedules
(DDPM, Ho et al. 2020; VP SDE, Song et al. 2021) have alpha_t^2 + sigma_t^2 = 1; the VE SDE has alpha_t = 1.
Knows tensors, not networks: a model is any function (x_t, t) -> its prediction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from detectors.errors import AnomalyError

SCHEDULES = {
    "cosine": "squaredcos_cap_v2",
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "vp": None,
    "ve": None,
}
PREDICTIONS = {"x0": "sample", "epsilon": "epsilon", "v": "v_prediction"}
SAMPLERS = ("ddpm", "ddim", "dpm", "sde")  # "sde": the schedule's own reverse SDE (VP or VE)

Model = Callable[[Tensor, Tensor], Tensor]
Guide = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_0 estimate, x_t, t (n,)) -> the x_0 that the chain goes on with


class Diffusion:
    """A schedule with what the network predicts on it.

    schedule: "cosine", "linear", "scaled_linear" (DDPM), "vp", "ve" (score SDEs); prediction: "x0", "epsilon", "v".
    Raises AnomalyError for unknown names.
    """

    def __init__(self, schedule: str = "cosine", prediction: str = "x0", steps: int = 1000) -> None:
        if schedule not in SCHEDULES:
            raise AnomalyError(f"schedule={schedule!r} is unknown; known: {', '.join(SCHEDULES)}.")
        if prediction not in PREDICTIONS:
            raise AnomalyError(f"prediction={prediction!r} is unknown; known: {', '.join(PREDICTIONS)}.")
        if schedule == "ve" and prediction == "v":
            raise AnomalyError("prediction='v' needs a variance-preserving schedule; use 'x0' or 'epsilon' with 've'.")
        self.schedule, self.prediction, self.steps = schedule, prediction, steps
        self.alpha, self.sigma = self._levels()

    def _levels(self) -> tuple[Tensor, Tensor]:
        """(alpha_t, sigma_t), each (steps,) float32."""
        if self.schedule == "ve":
            u = torch.linspace(0, 1, self.steps)
            return torch.ones(self.steps), 0.01 * (50.0 / 0.01) ** u  # sigma_min, sigma_max of NCSN++ for unit variance
        if self.schedule == "vp":
            u = torch.linspace(1e-3, 1, self.steps)  # VP SDE with beta in [0.1, 20], Song et al. 2021, eq. 33
            alpha = torch.exp(-0.25 * u**2 * 19.9 - 0.5 * u * 0.1)
            return alpha, (1 - alpha**2).sqrt()
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        cumulative = DDPMScheduler(self.steps, beta_schedule=SCHEDULES[self.schedule]).alphas_cumprod
        return cumulative.sqrt(), (1 - cumulative).sqrt()

    def at(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """alpha_t and sigma_t for t (n,), shaped to broadcast over `like` (n, ...)."""
        shape = (-1,) + (1,) * (like.ndim - 1)
        return self.alpha.to(like.device)[t].view(shape), self.sigma.to(like.device)[t].view(shape)

    def add_noise(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """q(x_t | x_0): x, noise (n, ...), t (n,)."""
        alpha, sigma = self.at(t, x)
        return alpha * x + sigma * noise

    def input_scale(self, t: Tensor, like: Tensor) -> Tensor:
        """Brings x_t of unit-variance data to unit variance (1 for variance-preserving schedules; EDM's c_in)."""
        alpha, sigma = self.at(t, like)
        return (alpha**2 + sigma**2).rsqrt()

    def target(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network is trained to predict."""
        if self.prediction == "x0":
            return x
        if self.prediction == "epsilon":
            return noise
        alpha, sigma = self.at(t, x)
        return alpha * noise - sigma * x  # v, Salimans & Ho 2022

    def to_x0(self, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The network's output as an estimate of x_0."""
        if self.prediction == "x0":
            return output
        alpha, sigma = self.at(t, x_t)
        if self.prediction == "epsilon":
            return (x_t - sigma * output) / alpha.clamp_min(1e-3)
        return alpha * x_t - sigma * output

    def from_x0(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """An x_0 estimate as epsilon: the samplers below all run on epsilon."""
        alpha, sigma = self.at(t, x_t)
        return (x_t - alpha * x0) / sigma.clamp_min(1e-4)

    def regenerate(
        self,
        x: Tensor,
        x0_model: Model,
        start: int,
        *,
        noise: Tensor | None,
        generator: torch.Generator,
        sampler: str = "ddim",
        num_inference_steps: int = 10,
        keep: Tensor | None = None,
        guide: Guide | None = None,
        resample: int = 0,
    ) -> Tensor:
        """Bring x to step `start` and run the reverse chain down to x_0.

        x, noise: (n, ...), noise None: x is scaled to each level and no noise added (Tebbe & Tayyub 2024);
        x0_model(x_t, t) estimates x_0; keep: bool, where True the chain is pinned to the noised input at every step and
        equals x at the end (RePaint, Lugmayr et al. 2022); guide: called at each step with the estimate, x_t and t,
        gives the estimate that the step is taken with: every guided method is one such function; resample: how often
        each step but the last is undone with fresh noise and taken again (RePaint's resampling, jump length 1).
        Raises AnomalyError for an unknown sampler, a start outside the schedule or a sampler that cannot go back.
        """
        if not 0 < start < self.steps:
            raise AnomalyError(f"start={start} lies outside the schedule; choose 1 to {self.steps - 1}.")
        if resample and sampler not in ("ddim", "ddpm"):
            raise AnomalyError(f"sampler={sampler!r} cannot take a step again; use 'ddim' or 'ddpm' with resample.")
        scheduler, times = self._scheduler(sampler, start, num_inference_steps)
        index = self._index(times)
        x_t = self._at_level(x, noise, index[0].expand(len(x)).to(x.device))
        for step, (time, t) in enumerate(zip(times, index, strict=True)):
            t_batch = t.expand(len(x)).to(x.device)
            following = index[step + 1] if step + 1 < len(index) else None
            for again in range(resample if following is not None else 0, -1, -1):
                if keep is not None and (step or again < resample):
                    x_t = torch.where(keep, self._at_level(x, noise, t_batch), x_t)
                x0 = x0_model(x_t, t_batch)
                if guide is not None:
                    x0 = guide(x0, x_t, t_batch)
                x_t = self._step(scheduler, self.from_x0(x0, x_t, t_batch), time, x_t, t_batch, generator)
                if again and following is not None:
                    x_t = self._back_up(x_t, int(following), int(t), generator)
        return x_t if keep is None else torch.where(keep, x, x_t)

    def _at_level(self, x: Tensor, noise: Tensor | None, t: Tensor) -> Tensor:
        return self.at(t, x)[0] * x if noise is None else self.add_noise(x, noise, t)

    def _back_up(self, x_s: Tensor, s: int, t: int, generator: torch.Generator) -> Tensor:
        """q(x_t | x_s) for t > s, with one noise for all items: an item is as in its batch."""
        ratio = float(self.alpha[t] / self.alpha[s])
        spread = float((self.sigma[t] ** 2 - (ratio * self.sigma[s]) ** 2).clamp_min(0).sqrt())
        fresh = torch.randn((1, *x_s.shape[1:]), generator=generator).to(x_s.device)
        return ratio * x_s + spread * fresh

    def _scheduler(self, sampler: str, start: int, count: int) -> tuple[Any, Tensor]:
        """A diffusers scheduler and its times from `start` downward, about `count` of them."""
        if sampler not in SAMPLERS:
            raise AnomalyError(f"sampler={sampler!r} is unknown; known: {', '.join(SAMPLERS)}.")
        total = min(self.steps, max(count, round(count * self.steps / (start + 1))))
        scheduler = (
            self._sde(total) if sampler == "sde" or self.schedule in ("vp", "ve") else self._discrete(sampler, total)
        )
        times = scheduler.timesteps
        chosen = times[self._index(times) <= start]
        if len(chosen) == 0:
            chosen = times[-1:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(len(times) - len(chosen))
        return scheduler, chosen

    def _discrete(self, sampler: str, total: int) -> Any:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

        kind: Any = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm": DPMSolverMultistepScheduler}[sampler]
        extra = {} if sampler == "dpm" else {"clip_sample": False}
        scheduler = kind(self.steps, beta_schedule=SCHEDULES[self.schedule], prediction_type="epsilon", **extra)
        scheduler.set_timesteps(total)
        return scheduler

    def _sde(self, total: int) -> Any:
        from diffusers.schedulers.deprecated.scheduling_sde_vp import ScoreSdeVpScheduler
        from diffusers.schedulers.scheduling_sde_ve import ScoreSdeVeScheduler

        if self.schedule == "ve":
            scheduler: Any = ScoreSdeVeScheduler(self.steps, sigma_min=0.01, sigma_max=50.0)
            scheduler.set_timesteps(total)
            scheduler.set_sigmas(total, sigma_min=0.01, sigma_max=50.0)
            return scheduler
        if self.schedule != "vp":
            raise AnomalyError(
                "sampler='sde' needs schedule='vp' or 've'; use 'ddpm', 'ddim' or 'dpm' with this schedule."
            )
        scheduler = ScoreSdeVpScheduler(self.steps)
        scheduler.set_timesteps(total)
        return scheduler

    def _index(self, times: Tensor) -> Tensor:
        """Scheduler times as indices 0..steps-1 (the SDE schedulers count time from 0 to 1)."""
        if self.schedule in ("vp", "ve"):
            return (times * (self.steps - 1)).round().long()
        return times.long()

    def _step(
        self, scheduler: Any, epsilon: Tensor, time: Tensor, x_t: Tensor, t: Tensor, generator: torch.Generator
    ) -> Tensor:
        if self.schedule == "vp":
            return scheduler.step_pred(epsilon, x_t, time, generator=generator)[
                0
            ]  # takes epsilon, divides by std itself
        if self.schedule == "ve":
            _, sigma = self.at(t, x_t)
            return scheduler.step_pred(-epsilon / sigma, float(time), x_t, generator=generator).prev_sample
        takes_generator = type(scheduler).__name__ != "DDIMScheduler"
        extra = {"generator": generator} if takes_generator else {}
        return scheduler.step(epsilon, int(time), x_t, **extra).prev_sample
