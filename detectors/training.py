"""The one training loop: seeded, EMA weights, bf16 autocast, channels_last, checkpoint and resume, progress.

Knows a network, a diffusion process and a tensor of normal items; not where they come from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from detectors.diffusion import Diffusion
from detectors.noise import make_noise

Objective = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]  # (network, x, noise, t) -> one loss an item
Progress = Callable[[float, str], None]
TELL_SECONDS = 0.5  # least time between two progress messages
CHECKPOINT_SECONDS = 10.0  # what an interruption can cost at most
TRIMMED_AMONG = 16  # items of neighbouring times among which the highest losses are left out


def silent(fraction: float, message: str) -> None:
    """The progress callback that says nothing."""


@dataclass
class Run:
    """What a fit is given besides data: where to compute, its randomness, whom to tell, where to resume from."""

    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Progress = silent
    checkpoint: Path | None = None  # folder for training state; an interrupted fit goes on from it
    contamination: float = 0.0  # share of the normals that may be anomalous: so many of the highest losses are left out

    def part(self, start: float, end: float, name: str = "") -> Run:
        """A run whose progress fills start..end of this one and whose checkpoints lie apart."""

        def report(fraction: float, message: str) -> None:
            self.progress(start + (end - start) * fraction, message)

        folder = self.checkpoint / name if self.checkpoint and name else self.checkpoint
        return Run(self.generator, self.device, report, folder, self.contamination)


def autocast(device: torch.device, enabled: bool = True) -> torch.autocast:
    """bf16 where it pays (convolutions and large matrix products); float32 kept for everything numerically delicate."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def train(
    network: nn.Module,
    diffusion: Diffusion,
    x: Tensor,
    run: Run,
    *,
    steps: int,
    batch_size: int = 32,
    lr: float = 2e-3,
    noise: str = "gaussian",
    times: tuple[int, int] | None = None,
    ema: float = 0.995,
    bf16: bool = True,
    loss_trim: float | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    objective: Objective | None = None,
    message: str = "training the denoiser",
) -> None:
    """Fit network(x_t * c_in, (t + 1) / steps) to the diffusion's target (or to `objective`), in place.

    x: (n, channel, *position) normal items on any device; the weights end as their exponential moving average.
    times: the first and last time of the process to learn (all by default).
    loss_trim: share of the highest losses in a batch left out of the gradient (contaminated normals; TabADM 2023);
    None: the run's contamination.
    """
    trim = run.contamination if loss_trim is None else loss_trim
    network.to(run.device).train()
    layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    if x.ndim == 4:
        network = network.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-4)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    first = _resume(run, network, average, optimizer, steps)
    earliest, latest = times or (0, diffusion.steps - 1)
    began = kept = time.monotonic()
    told = 0.0
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * _warm_cosine(step, steps)
        rows = torch.randint(len(x), (min(batch_size, max(len(x), 2)),), generator=run.generator)
        batch = x[rows.to(x.device)].to(run.device, torch.float32)
        if augment is not None:
            batch = augment(batch, run.generator)
        t = torch.randint(earliest, latest + 1, (len(batch),), generator=run.generator).to(run.device)
        eps = make_noise(noise, tuple(batch.shape), run.generator, run.device)
        with autocast(run.device, bf16):
            losses = (objective or denoising(diffusion, layout))(network, batch, eps, t)
        loss = (_trimmed(losses, t, trim) if trim else losses).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        decay = min(ema, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                average[name].lerp_(value.detach(), 1 - decay)
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            rate = (told - began) / (step + 1 - first)
            run.progress(step / steps, f"{message}: step {step + 1} of {steps}, {rate * (steps - step - 1):.0f} s left")
        if run.checkpoint and time.monotonic() - kept > CHECKPOINT_SECONDS:
            _checkpoint(run, network, average, optimizer, step + 1)
            kept = time.monotonic()
    network.load_state_dict(average)
    network.eval()
    run.progress(1.0, message)


def denoising(diffusion: Diffusion, layout: torch.memory_format = torch.contiguous_format) -> Objective:
    """The usual objective: mean squared error of the diffusion's target."""

    def loss(network: nn.Module, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        x_t = diffusion.add_noise(x, noise, t)
        x_t = (x_t * diffusion.input_scale(t, x_t)).contiguous(memory_format=layout)
        output = network(x_t, (t + 1) / diffusion.steps)
        return (output.float() - diffusion.target(x, noise, t)).square().flatten(1).mean(1)

    return loss


def _trimmed(losses: Tensor, t: Tensor, share: float) -> Tensor:
    """(n,) losses without the highest `share`, judged among items of about the same time: more noise alone makes a
    loss high."""
    groups = losses[t.argsort()].split(TRIMMED_AMONG)
    return torch.cat([group.sort().values[: max(1, round(len(group) * (1 - share)))] for group in groups])


def _warm_cosine(step: int, steps: int) -> float:
    """Learning-rate factor: linear warm-up over the first 5 %, then cosine to 2 %."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    angle = torch.pi * (step - warm) / max(1, steps - warm)
    return 0.02 + 0.98 * 0.5 * (1 + float(torch.cos(torch.tensor(angle))))


def _checkpoint(
    run: Run, network: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Write all that a resumed run needs; the JSON is written last and by rename, so a cut write is never read."""
    assert run.checkpoint is not None
    run.checkpoint.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    tensors["generator"] = run.generator.get_state()
    name = f"step-{step}.safetensors"
    save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, run.checkpoint / name)
    scratch = run.checkpoint / "training.json.tmp"
    scratch.write_text(json.dumps({"step": step, "file": name}))
    scratch.replace(run.checkpoint / "training.json")
    for old in run.checkpoint.glob("step-*.safetensors"):
        if old.name != name:
            old.unlink()


def _resume(
    run: Run, network: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer, steps: int
) -> int:
    """Load the last checkpoint, if there is one for this run, and return the step to go on from."""
    if run.checkpoint is None or not (run.checkpoint / "training.json").exists():
        return 0
    head = json.loads((run.checkpoint / "training.json").read_text())
    tensors = load_file(run.checkpoint / head["file"])
    network.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("network.")})
    for name in average:
        average[name].copy_(tensors[f"average.{name}"])
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    run.generator.set_state(tensors["generator"])
    return min(int(head["step"]), steps)
