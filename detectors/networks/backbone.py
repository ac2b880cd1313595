"""Pretrained feature spaces: any transformers vision model, from a local folder or a hub id, as multi-layer features.

Knows pictures as tensors (n, 3, h, w) in 0..1 and gives (n, channel, h', w'); knows nothing of anomalies. Weights are
read from safetensors only, and no code that comes with a model is run.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.errors import AnomalyError

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
STRIDES = (4, 16)  # layers from fine to middling: coarser ones say what a thing is, not where it is broken
GRID = 8  # input pixels a feature cell
PROBES = 12  # noise pictures by which it is found where the cells of a layer look
CHUNK = 2  # pictures a call on a CPU: larger batches fall out of its caches (2.5 times slower at 16)


class Backbone(nn.Module):
    """A frozen vision model with the layers that are read from it.

    Convolutional models: the last layer of each stage with strides 4 to 16; token models (ViT, DINO): four layers at
    3, 6, 9 and 12 twelfths of the depth. Each layer is averaged over 3x3 cells (PaDiM's and PatchCore's neighbourhood),
    brought to one grid, each cell to where it looks, and stacked.
    """

    def __init__(
        self,
        model: Any,
        mean: Sequence[float],
        std: Sequence[float],
        layers: Sequence[int] | None = None,
        offsets: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.model: Any = model.eval().requires_grad_(False)
        self.mean, self.std = list(mean), list(std)
        self.patch = int(getattr(model.config, "patch_size", None) or 0) if _tokens(model) else 0
        self.layers = list(layers) if layers is not None else []
        self.offsets = list(offsets)  # pixels, by layer; see `_centre_offset`
        self.fine = 0  # leading channels of layers no coarser than the grid, known after `choose_layers`
        self.model.to(memory_format=torch.channels_last)

    @property
    def multiple(self) -> int:
        """Input sides must be multiples of it."""
        return self.patch or 16

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Cells of the feature map for an input size."""
        step = self.patch or GRID
        return height // step, width // step

    def choose_layers(self, height: int, width: int) -> None:
        """Find the layers to read, by trying an empty picture of the size in use, and where their cells look."""
        states = self._states(torch.zeros(1, 3, height, width))
        self.layers = sorted(self.layers) or self._ends_of_stages(states, height)
        if self.patch:
            self.offsets, self.fine = [0.0] * len(self.layers), 0
            return
        self.offsets = [self._centre_offset(layer, height, width) for layer in self.layers]
        self.fine = sum(states[n].shape[1] for n in self.layers if round(height / states[n].shape[2]) <= GRID)

    def _ends_of_stages(self, states: Sequence[Tensor], height: int) -> list[int]:
        if self.patch:
            depth = len(states) - 1
            return sorted({max(1, round(depth * k / 4)) for k in (1, 2, 3, 4)})
        kinds = {}  # the last layer of each (stride, channels) is the end of a stage
        for number, state in enumerate(states):
            stride = round(height / state.shape[2])
            if STRIDES[0] <= stride <= STRIDES[1]:
                kinds[stride, state.shape[1]] = number
        if not kinds:
            raise AnomalyError("The backbone has no layer of stride 4 to 16; choose another vision model.")
        return sorted(kinds.values())

    def _centre_offset(self, layer: int, height: int, width: int) -> float:
        """Pixels, down and to the right, from the middle of a cell to the middle of what it sees.

        Strided convolutions that pad one side look past the middle of their cells, half a stride a layer, and maps
        would lie up to a cell beside what they mark. The middle is the centroid of the squared gradient of a
        cell of the layer with regard to noise pictures: the effective receptive field (Luo et al., NeurIPS 2016).
        """
        generator, found = torch.Generator().manual_seed(0), []
        for _ in range(PROBES):
            noise = torch.randn(1, 3, height, width, generator=generator).requires_grad_(True)
            with torch.enable_grad():
                state = self._states(noise)[layer]
                cell = [side // 2 for side in state.shape[2:]]
                seen = torch.autograd.grad(state[0, :, cell[0], cell[1]].square().sum(), noise)[0].square().sum((0, 1))
            if not seen.any():  # this noise leaves the cell unmoved
                continue
            for axis, side in enumerate((height, width)):
                middle = float((seen.sum(1 - axis) * torch.arange(side)).sum() / seen.sum())
                found.append(middle - ((cell[axis] + 0.5) * side / state.shape[2 + axis] - 0.5))
        return sum(found) / max(1, len(found))

    def _states(self, pictures: Tensor) -> Sequence[Tensor]:
        """All hidden states as maps (n, channel, h, w)."""
        extra = {}
        if "interpolate_pos_encoding" in inspect.signature(self.model.forward).parameters:
            extra["interpolate_pos_encoding"] = True
        out = self.model(pictures.contiguous(memory_format=torch.channels_last), output_hidden_states=True, **extra)
        states = getattr(out, "reshaped_hidden_states", None) or out.hidden_states
        if states[0].ndim == 4:
            return states
        height, width = self.grid(*pictures.shape[2:])
        cells = height * width
        return [s[:, -cells:].transpose(1, 2).reshape(len(s), -1, height, width) for s in states]

    @torch.inference_mode()
    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (n, 3, h, w) in 0..1 -> (n, channel, h', w') float32."""
        few = len(pictures) if pictures.is_cuda else CHUNK
        return torch.cat([self._stacked(chunk) for chunk in pictures.split(few)])

    def _stacked(self, pictures: Tensor) -> Tensor:
        shape = (1, 3, 1, 1)
        mean, std = (torch.tensor(v, device=pictures.device).view(shape) for v in (self.mean, self.std))
        states = self._states((pictures - mean) / std)
        grid = self.grid(*pictures.shape[2:])
        out = []
        for number, offset in zip(self.layers, self.offsets, strict=True):
            layer = F.avg_pool2d(states[number].float(), 3, 1, 1, count_include_pad=False)
            if layer.shape[2] > grid[0]:
                layer = F.adaptive_avg_pool2d(layer, grid)
            out.append(_on_grid(layer, grid, [offset / side for side in pictures.shape[2:]]))
        return torch.cat(out, 1)

    def describe(self) -> dict[str, Any]:
        """JSON from which `from_description` makes the same network without its weights."""
        config = self.model.config.to_diff_dict()
        return {
            "config": {**config, "model_type": self.model.config.model_type},
            "mean": self.mean,
            "std": self.std,
            "layers": self.layers,
            "offsets": self.offsets,
        }


def _on_grid(layer: Tensor, grid: tuple[int, int], offset: Sequence[float]) -> Tensor:
    """A layer (n, channel, h, w) at the cells of `grid`, bilinear; `offset`: how far down and to the right, in heights
    and widths of the picture, its cells look past their middle."""
    shift = layer.new_tensor([[[1, 0, -2 * offset[1]], [0, 1, -2 * offset[0]]]]).expand(len(layer), -1, -1)
    places = F.affine_grid(shift, [len(layer), 1, *grid], align_corners=False)
    return F.grid_sample(layer, places, mode="bilinear", padding_mode="border", align_corners=False)


def from_description(described: Mapping[str, Any]) -> Backbone:
    """An untrained backbone of the described shape; its weights are loaded afterwards."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(**described["config"])
    layers = described["layers"]
    offsets = described.get("offsets", [0.0] * len(layers))  # models of before have none
    return Backbone(AutoModel.from_config(config), described["mean"], described["std"], layers, offsets)


def load_backbone(name: str) -> Backbone:
    """A backbone with its pretrained weights.

    name: a folder with config.json and model.safetensors, or a hub id. Raises AnomalyError with what to do where no
    such model can be had.
    """
    from transformers import AutoModel

    folder = Path(name).expanduser()
    where = str(folder) if folder.is_dir() else str(name)
    looks_like_path = str(name).startswith((".", "/", "~")) or str(name).count("/") > 1
    if not folder.is_dir() and (looks_like_path or folder.exists()):
        raise AnomalyError(f"The backbone folder {name!r} does not exist; give a folder with config.json and {_FILE}.")
    if folder.is_dir():
        for needed in ("config.json", _FILE):
            if not (folder / needed).is_file() and not list(folder.glob("*.safetensors.index.json")):
                raise AnomalyError(f"The backbone folder {name!r} has no {needed}; only safetensors models are read.")
    try:
        with _quiet():
            model = AutoModel.from_pretrained(where, use_safetensors=True, trust_remote_code=False)
            mean, std = _normalisation(where)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise AnomalyError(
            f"The backbone {name!r} cannot be had ({reason}). Give a local folder of a transformers vision model, "
            "a hub id that this machine can reach, or backbone=None for pixel space."
        ) from error
    if "pixel_values" not in inspect.signature(model.forward).parameters:
        raise AnomalyError(f"The model {name!r} does not take pictures; choose a vision model as the backbone.")
    return Backbone(model, mean, std)


_FILE = "model.safetensors"


def _tokens(model: Any) -> bool:
    """Whether hidden states are token sequences of a plain vision transformer."""
    return (
        hasattr(model.config, "patch_size")
        and hasattr(model.config, "num_attention_heads")
        and isinstance(getattr(model.config, "num_attention_heads", None), int)
    )


def _normalisation(where: str) -> tuple[list[float], list[float]]:
    """Mean and deviation of the model's preprocessor_config.json; ImageNet's where it has none."""
    from transformers.utils import cached_file

    path = cached_file(where, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    head = json.loads(Path(path).read_text()) if path else {}
    mean, std = head.get("image_mean"), head.get("image_std")
    return (mean, std) if mean and std else IMAGENET


class _quiet:  # noqa: N801 - reads as a context, not as a thing
    """Keeps transformers' progress bars and advice off the terminal, and puts its settings back."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self.level, self.bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self.level)
        if self.bars:
            logging.enable_progress_bar()
