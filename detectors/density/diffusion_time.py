"""Diffusion-time estimation: how noisy does a sample look to someone who has only seen normals?"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.method import Method, Space
from detectors.neighbours import Cells
from detectors.scaling import share_of
from detectors.training import Run, train

FORMS = ("nonparametric", "categorical", "inverse_gamma")
PICTURE_CELLS, PICTURE_POINTS = 512, 1024  # lists that remembered cells of pictures lie in, and how long these are
WHOLE = 64  # pictures remembered whole beside them: what `normal` is drawn from


class DiffusionTime(Method):
    """DTE (Livernoche et al., ICLR 2024): the posterior over the diffusion time of a sample is its anomaly score.

    form "nonparametric": S = root mean squared distance to the k nearest normals, which is monotone in the mean of the
    inverse-gamma posterior of the noise variance; no training. "categorical": a network sorts noised normals into
    `bins` of noise level, S = expected bin. "inverse_gamma": it predicts the scale of the posterior
    of the noise variance, S = its mean.
    Points are cells of a picture (within `reach` cells of the same place where pictures are aligned; reach=None, and
    where they are not: anywhere, after PatchCore, Roth et al., CVPR 2022), whole windows, rows.
    Map: cells score themselves; in windows and rows S is shared out by the squared residual to the neighbours' mean,
    or by |dS/dx| |x - mean| for the learned forms (our choice; the paper gives none).
    Settings: form, k, memory (points kept; pictures where they are compared place by place), reach, fine (pictures:
    only the channels that see the closest surroundings are compared, where the space has such), bins, width,
    train_steps. Calls a sample: 0 (nonparametric) or 1.
    """

    name = "diffusion_time"
    defaults = {
        "form": "nonparametric",
        "k": 5,
        "memory": 20_000,
        "reach": 1,
        "fine": False,
        "bins": 7,
        "width": 256,
        "train_steps": 600,
    }
    steps = 400
    sigma_min = 0.1  # below it the inverse-gamma likelihood is all about the least noisy items and teaches nothing else
    memory: Tensor  # (m, channel, *position) remembered normals; few where it is their cells that are remembered
    mean: Tensor

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        self._laid_out: tuple[Tensor, Tensor] | None = None  # the memory, and the same in the order that cells ask for
        if self._anywhere:
            self.cells = Cells()
        if self.settings["form"] not in FORMS:
            raise AnomalyError(f"form={self.settings['form']!r} is unknown; known: {', '.join(FORMS)}.")
        if self.settings["form"] == "inverse_gamma" and space.modality == "video":
            raise AnomalyError("form='inverse_gamma' does not tell odd frames from mended ones; take another.")

    @property
    def calls(self) -> int:
        return 0 if self.settings["form"] == "nonparametric" else 1

    def build(self) -> None:
        if self.calls and "network" not in self._modules:
            outputs = self.settings["bins"] if self.settings["form"] == "categorical" else 1
            self.network = TimeNet(self.space.shape, self.settings["width"], outputs)
            if len(self.space.shape) == 3:  # the layout of training, so that loaded weights round the same
                self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit(self, x: Tensor, run: Run) -> None:
        self.build()
        if self.settings["form"] == "nonparametric":
            rows = torch.randperm(len(x), generator=run.generator)[: self._capacity()].sort().values
            self.learn(memory=x[rows].contiguous())
            if self._anywhere:
                cells = _cells_of(self._looked_at(x))
                chosen = torch.randperm(len(cells), generator=run.generator)[: self.settings["memory"]].sort().values
                self.cells.fit(cells[chosen], PICTURE_CELLS, PICTURE_POINTS)
            run.progress(1.0, "remembering normals")
            return
        self.learn(mean=x.mean(0, keepdim=True))
        diffusion = Diffusion("linear", steps=self.steps)
        train(self.network, diffusion, x, run, steps=self.settings["train_steps"], batch_size=128 if x.ndim < 4 else 8,
              lr=1e-3, bf16=False, objective=self._objective, message="learning to tell diffusion times")  # fmt: skip

    def absorb(self, x: Tensor) -> None:
        if self.settings["form"] == "nonparametric":
            room = max(0, self._capacity() - len(self.memory))
            self.learn(memory=torch.cat([self.memory, x[:room].to(self.memory)]))
            if self._anywhere and len(self.cells.points) < self.settings["memory"]:
                points = torch.cat([self.cells.points, _cells_of(self._looked_at(x)).to(self.cells.points)])
                self.cells.fit(points[: self.settings["memory"]], PICTURE_CELLS, PICTURE_POINTS)

    @property
    def _anywhere(self) -> bool:
        """Whether cells of pictures are compared with remembered cells of all places."""
        by_cells = self.settings["form"] == "nonparametric" and len(self.space.shape) == 3
        return by_cells and (not self.space.aligned or self.settings["reach"] is None)

    def _looked_at(self, x: Tensor) -> Tensor:
        """The channels that are compared."""
        return x[:, : self.space.fine] if self.settings["fine"] and self.space.fine else x

    def _capacity(self) -> int:
        """Items that are remembered whole."""
        return min(WHOLE, self.settings["memory"]) if self._anywhere else self.settings["memory"]

    # --- learned forms ---------------------------------------------------------------------------------------------
    def _objective(self, network: nn.Module, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        level = self.sigma_min + (1 - self.sigma_min) * (t + 1).float() / self.steps  # grows with t; data stay unscaled
        shape = (-1,) + (1,) * (x.ndim - 1)
        output = network(x + level.view(shape) * noise)  # (n, outputs[, h, w])
        if self.settings["form"] == "categorical":
            bins = (
                (t * self.settings["bins"] // self.steps).view(-1, *(1,) * (output.ndim - 2)).expand(output[:, 0].shape)
            )
            return F.cross_entropy(output.float(), bins, reduction="none").reshape(len(x), -1).mean(1)
        variance = level.view(-1, *(1,) * (output.ndim - 2)) ** 2
        shape_a = self._inverse_gamma_shape()
        log_scale = output[:, 0].float()
        nll = -shape_a * log_scale + (shape_a + 1) * variance.log() + log_scale.exp() / variance
        return (nll / shape_a).reshape(len(x), -1).mean(1)

    def _inverse_gamma_shape(self) -> float:
        """d/2 - 1 in the paper; bounded, so that high dimensions do not freeze the network's output."""
        points = self.space.shape[0] if len(self.space.shape) == 3 else self.space.size
        return float(min(max(points / 2 - 1, 2.0), 20.0))

    def _expected_time(self, x: Tensor) -> Tensor:
        """S: (n,) or, for pictures, (n, h, w)."""
        output = self.network(x).float()
        if self.settings["form"] == "categorical":
            bins = torch.arange(self.settings["bins"], device=x.device).view(1, -1, *(1,) * (output.ndim - 2))
            return (output.softmax(1) * bins).sum(1)
        return output[:, 0].exp() / (self._inverse_gamma_shape() - 1)

    # --- scoring ---------------------------------------------------------------------------------------------------
    def maps(self, x: Tensor) -> Tensor:
        if self.settings["form"] == "nonparametric":
            return self._neighbour_cells(x) if x.ndim == 4 else self._neighbour_items(x)
        if x.ndim == 4:
            with torch.inference_mode():
                return self._expected_time(x)[:, None]
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_(True)
            score = self._expected_time(leaf)
            gradient = torch.autograd.grad(score.sum(), leaf)[0]
        return share_of(score.detach(), (gradient * (x - self.mean)).abs() + 1e-12)

    def _neighbour_items(self, x: Tensor) -> Tensor:
        """Rows and windows: distance to the k nearest remembered items, shared out by the residual to their mean."""
        memory = self.memory.flatten(1)
        k = min(self.settings["k"], len(memory))
        distance, index = torch.cdist(x.flatten(1), memory).topk(k, largest=False)
        score = (distance**2).mean(1).sqrt()
        residual = x - self.memory[index].mean(1)
        return share_of(score, residual**2 + 1e-12)

    def _neighbour_cells(self, x: Tensor) -> Tensor:
        """Pictures: each cell against the remembered cells, within `reach` of its place where pictures are aligned."""
        x, memory = self._looked_at(x), self._looked_at(self.memory)
        n, channels, height, width = x.shape
        k = self.settings["k"]
        query = x.permute(0, 2, 3, 1)  # (n, h, w, c)
        if self._anywhere:
            return self.cells.nearest(query.reshape(-1, channels), k).view(n, 1, height, width)
        reach = self.settings["reach"]
        if reach == 0:
            distance = torch.cdist(query.reshape(n, -1, channels).transpose(0, 1).contiguous(), self._by_place())
            nearest = distance.topk(min(k, distance.shape[2]), largest=False).values
            return (nearest**2).mean(2).sqrt().T.reshape(n, 1, height, width)
        padded = F.pad(memory, (reach,) * 4, mode="replicate")
        out = x.new_empty(n, 1, height, width)
        for row in range(height):
            band = padded[:, :, row : row + 2 * reach + 1].unfold(3, 2 * reach + 1, 1)  # (m, c, r, w, r)
            bank = band.permute(3, 0, 2, 4, 1).reshape(width, -1, channels)
            distance = torch.cdist(query[:, row].transpose(0, 1).contiguous(), bank)  # (w, n, m * r * r)
            nearest = distance.topk(min(k, bank.shape[1]), largest=False).values
            out[:, 0, row] = (nearest**2).mean(2).sqrt().T
        return out

    def _by_place(self) -> Tensor:
        """The memory as (place, m, channel), kept: laying it out takes four times as long as the distances."""
        if self._laid_out is None or self._laid_out[0] is not self.memory:
            self._laid_out = self.memory, self._looked_at(self.memory).flatten(2).permute(2, 0, 1).contiguous()
        return self._laid_out[1]

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """The mean of the nearest remembered items, judged by the places that are kept."""
        if self.settings["form"] != "nonparametric":
            return torch.where(where, self.mean.expand_as(x), x)
        keep = (~where).expand_as(x).to(x.dtype)
        bank = self.memory.flatten(1)
        a, weight = x.flatten(1) * keep.flatten(1), keep.flatten(1)
        distance = (a**2).sum(1, keepdim=True) - 2 * a @ bank.T + weight @ (bank**2).T
        index = distance.topk(min(self.settings["k"], len(bank)), largest=False).indices
        return torch.where(where, self.memory[index].mean(1), x)


def _cells_of(x: Tensor) -> Tensor:
    """Pictures (n, channel, h, w) as cells (n * h * w, channel)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


class TimeNet(nn.Module):
    """Tells the noise level of an item: (n, outputs), or of each cell of a picture (n, outputs, h, w)."""

    def __init__(self, shape: tuple[int, ...], width: int, outputs: int) -> None:
        super().__init__()
        half = width // 2
        layers: list[nn.Module]
        if len(shape) == 3:  # small receptive field: a cell is judged by its neighbourhood
            layers = [
                nn.Conv2d(shape[0], half, 3, padding=1),
                nn.SiLU(),
                nn.Conv2d(half, half, 3, padding=1),
                nn.SiLU(),
            ]
            layers += [nn.Conv2d(half, outputs, 1)]
        elif len(shape) == 2:
            layers = [
                nn.Conv1d(shape[0], half, 5, stride=4, padding=2),
                nn.SiLU(),
                nn.Conv1d(half, half, 3, padding=1),
                nn.SiLU(),
            ]
            layers += [nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(4 * half, width), nn.SiLU()]
            layers += [nn.Linear(width, outputs)]
        else:  # the paper's 256-512-256
            layers = [nn.Linear(shape[0], width), nn.SiLU(), nn.Linear(width, 2 * width), nn.SiLU()]
            layers += [nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, outputs)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
