"""Progressive distillation: a student denoiser whose one step of the process equals many of its teacher's.

Knows networks and diffusion processes, not methods; any method can ask the student, since it is a denoiser.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from detectors.denoiser import NetworkDenoiser
from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.training import Objective, Run, train

TEACHER_STEPS = 32  # of the whole process, from which the halving starts


class DistilledDenoiser(NetworkDenoiser):
    """Trained as a `NetworkDenoiser`, then halved until `student_steps` steps cross the whole process.

    Salimans & Ho (ICLR 2022): the student's x0 at t is the one whose DDIM step from t to t - 2h ends where the
    teacher's two steps of h end. Times are continuous, so it may be asked at any t.
    """

    def __init__(self, space: Space, diffusion: Diffusion, settings: Mapping[str, Any]) -> None:
        super().__init__(space, diffusion, settings)
        if diffusion.prediction != "x0" or diffusion.schedule == "ve":
            raise AnomalyError("denoiser='distilled' needs prediction='x0' and a variance-preserving schedule.")
        steps = int(settings["student_steps"])
        if not 1 <= steps < TEACHER_STEPS or TEACHER_STEPS % steps or (TEACHER_STEPS // steps).bit_count() != 1:
            raise AnomalyError(f"student_steps={steps} must be 1, 2, 4, 8 or 16: {TEACHER_STEPS} halved.")
        self.student_steps = steps

    def fit(self, x: Tensor, run: Run) -> None:
        super().fit(x, run.part(0.0, 0.4, "teacher"))
        rounds = (TEACHER_STEPS // self.student_steps).bit_length() - 1
        for number in range(rounds):
            teacher = copy.deepcopy(self.network).eval().requires_grad_(False)
            stride = self.diffusion.steps * 2 ** (number + 1) // TEACHER_STEPS
            share = [0.4 + 0.6 * (number + i) / rounds for i in (0, 1)]
            train(
                self.network,
                self.diffusion,
                x,
                run.part(share[0], share[1], f"student_{number}"),
                steps=max(1, int(self.settings["train_steps"]) // 4),
                batch_size=self.settings["batch_size"],
                lr=self.settings["lr"] / 4,
                bf16=self.bf16,
                objective=halving(teacher, self.diffusion, stride),
                message=f"halving to {self.diffusion.steps // stride} steps",
            )


def halving(teacher: nn.Module, diffusion: Diffusion, stride: int) -> Objective:
    """The loss of a student whose step of `stride` replaces two of its teacher's."""

    def step(x_t: Tensor, t: Tensor, to: Tensor) -> Tensor:
        """One DDIM step of the teacher from t to `to` (below 0: clean)."""
        x0 = teacher(x_t, (t + 1) / diffusion.steps).float()
        return _between(diffusion, x0, x_t, t, to)

    def loss(student: nn.Module, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        x_t = diffusion.add_noise(x, noise, t)
        half, whole = t - stride // 2, t - stride
        with torch.no_grad():
            middle = step(x_t, t, half)
            end = torch.where(_wide(half >= 0, x), step(middle, half.clamp_min(0), whole), middle)
            (alpha, sigma), (low, rest) = diffusion.at(t, x), _levels(diffusion, whole, x)
            ratio = rest / sigma.clamp_min(1e-4)
            target = (end - ratio * x_t) / (low - ratio * alpha).clamp_min(1e-3)
        output = student(x_t, (t + 1) / diffusion.steps).float()
        return (output - target).square().flatten(1).mean(1)

    return loss


def _between(diffusion: Diffusion, x0: Tensor, x_t: Tensor, t: Tensor, to: Tensor) -> Tensor:
    """The DDIM step: the same noise at another level."""
    alpha, sigma = diffusion.at(t, x_t)
    after, rest = _levels(diffusion, to, x_t)
    return after * x0 + rest * (x_t - alpha * x0) / sigma.clamp_min(1e-4)


def _levels(diffusion: Diffusion, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma at t, where below 0 everything is clean."""
    alpha, sigma = diffusion.at(t.clamp_min(0), like)
    clean = _wide(t < 0, like)
    return torch.where(clean, torch.ones_like(alpha), alpha), torch.where(clean, torch.zeros_like(sigma), sigma)


def _wide(flags: Tensor, like: Tensor) -> Tensor:
    return flags.view(-1, *(1,) * (like.ndim - 1))
