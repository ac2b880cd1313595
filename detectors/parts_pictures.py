"""Parts of a multimodal sample that are pictures: single images, or the frames of a clip.

Knows pictures, cells and motion; not the other parts, methods or thresholds. What a picture shows stands in a few
numbers for the sake of the other parts; where in it something is odd, its cells say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.denoiser import GaussianDenoiser
from detectors.detection import Part, Region
from detectors.diffusion import Diffusion
from detectors.errors import AnomalyError
from detectors.localization import image_regions, regions_mask
from detectors.method import Space
from detectors.modalities.base import Items
from detectors.modalities.image import ImageModality
from detectors.parts import Reader, Seen
from detectors.readers.videos import Clip
from detectors.training import Run

POOL = 4  # cells a side of the content's grid
SNR = 25.0  # where the cells' likelihood ends, as in `likelihood`


class PictureReader(Reader):
    """What images and frames have in common: places are cells of a grid, evidence lies where cells are odd."""

    grid: tuple[int, int] = (0, 0)

    @property
    def places(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def owners(self) -> np.ndarray:
        return np.zeros(len(self.center), int)

    def cells(self, seen: Seen) -> np.ndarray:
        """(step, h', w') how odd each cell is by itself, 1 = usual at most."""
        raise NotImplementedError(f"{type(self).__name__}.cells")

    def size_of(self, seen: Seen, step: int) -> tuple[int, int]:
        """(h, w) of the picture at a step."""
        raise NotImplementedError(f"{type(self).__name__}.size_of")

    def picture(self, seen: Seen, step: int) -> np.ndarray:
        """The picture at a step, uint8."""
        raise NotImplementedError(f"{type(self).__name__}.picture")

    def spread_out(self, seen: Seen, rows: np.ndarray, maps: np.ndarray) -> np.ndarray:
        odd = np.maximum(self.cells(seen)[rows].reshape(len(rows), -1) - 0.5, 0) ** 2 + 1e-6
        return maps.sum(1, keepdims=True) * odd / odd.sum(1, keepdims=True)

    def enlarged(self, seen: Seen, step: int, map_: np.ndarray) -> np.ndarray:
        """Evidence by cell (place,) at the picture's own size (h, w)."""
        cells = torch.from_numpy(np.ascontiguousarray(map_, np.float32)).view(1, 1, *self.grid)
        return F.interpolate(cells, size=self.size_of(seen, step), mode="bilinear")[0, 0].numpy()

    def mask_of(self, seen: Seen, step: int, map_: np.ndarray) -> np.ndarray:
        """(h, w) bool: the odd places of one step; none where the part as a whole is not odd."""
        full = self.enlarged(seen, step, map_)
        return (
            regions_mask(image_regions(full), full.shape[0], full.shape[1], 2)
            if full.max() > 1
            else np.zeros(full.shape, bool)
        )

    def touched(self, mask: np.ndarray) -> np.ndarray:
        """(h', w') bool: cells that hold a masked pixel."""
        return (F.adaptive_max_pool2d(torch.from_numpy(np.asarray(mask, bool)).float()[None], self.grid)[0] > 0).numpy()

    def _flat_masks(self, seen: Seen, masks: Sequence[Any]) -> list[Any]:
        """One mask a step (None: nothing); raises AnomalyError for other shapes than the pictures'."""
        flat: list[Any] = []
        for mask, length in zip(masks, seen.lengths, strict=True):
            if mask is not None and len(mask) != length:
                raise AnomalyError(f"The part {self.name!r} has {length} pictures but {len(mask)} masks.")
            flat += [None] * length if mask is None else list(mask)
        for step, mask in enumerate(flat):
            if mask is not None and seen.known[step] and np.shape(mask) != self.size_of(seen, step):
                raise AnomalyError(f"The mask of picture {step} of {self.name!r} has shape {np.shape(mask)}; "
                                   f"the picture has {self.size_of(seen, step)}.")  # fmt: skip
        return flat

    def dimensions(self, seen: Seen, masks: Sequence[Any]) -> np.ndarray:
        odd = [m is not None and bool(np.any(m)) for m in self._flat_masks(seen, masks)]
        return np.repeat(np.asarray(odd, bool)[:, None], self.size, 1)

    def region(self, seen: Seen, steps: slice, maps: np.ndarray, share: float) -> Region:
        step = steps.start + int(np.argmax(maps.sum(1)))
        full = self.enlarged(seen, step, maps[step - steps.start])
        found = image_regions(full)[0]
        return Region(
            self.name, "box", share, float(full.max()), found.position, found.box, found.area, found.mask,
            start=steps.start, end=steps.stop,
        )  # fmt: skip

    def carriers(self, seen: Seen, steps: slice, maps: np.ndarray, expected: list[Any], share: float) -> list[Part]:
        region = self.region(seen, steps, maps, share)
        step = steps.start + int(np.argmax(maps.sum(1)))
        if region.box is None or region.mask is None or not seen.known[step]:
            return []
        number, place = self._held(step, seen)
        left, top, right, bottom = region.box
        before, after = self.picture(seen, step), _frame_of(expected[number], place)
        grey = [float(_grey(p[top:bottom, left:right])[region.mask].mean()) for p in (before, after)]
        return [Part(f"{self.name} grey level", share, round(grey[0], 2), round(grey[1], 2))]


class ImageReader(PictureReader):
    """Images. A step's numbers are the principal components of its features, averaged over a coarse grid, and how odd
    its cells are: on average, and where they are oddest (a Gaussian of each place, learned from every second image)."""

    kind = "image"
    own = 2
    scales = False
    usual: Tensor  # (h', w') what the distance of a normal's cell hardly exceeds

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.image = ImageModality(backbone=settings["backbone"], size=settings["size"], by_scale=False)

    def length(self, piece: Any) -> int:
        return len(piece)

    def open(self, pieces: Sequence[Any], lengths: Sequence[int]) -> Seen:
        flat: list[Any] = []
        for piece, length in zip(pieces, lengths, strict=True):
            flat += [None] * length if piece is None else list(piece)
        known = np.array([one is not None for one in flat])
        places = np.where(known, np.cumsum(known) - 1, -1)
        try:
            items = self.image.open([one for one in flat if one is not None])
        except AnomalyError as error:
            raise AnomalyError(f"In the part {self.name!r}: {error}") from error
        return Seen(list(pieces), list(lengths), known, {"items": items, "places": places})

    def learn_features(self, seen: Seen, rows: np.ndarray, run: Run) -> None:
        picked = seen.data["places"][rows].tolist()
        items: Items = seen.data["items"]
        self.image.fit(items, picked, run)
        self.grid = (self.image.space.shape[1], self.image.space.shape[2])
        encoded = [self.image.encode(items, [r])[0] for r in picked[::2]]
        cells = torch.stack(encoded)
        judge = _judge(tuple(cells.shape[1:]))
        judge.fit(cells, Run())
        self.judge = judge
        usual = self._distances(seen, picked[1::2])
        self.learn(usual=torch.from_numpy(np.quantile(usual, 0.95, 0)).float())

    def _distances(self, seen: Seen, numbers: Sequence[int]) -> np.ndarray:
        """(n, h', w') likelihood distance of the cells of these images."""
        out = [np.zeros((0, *self.grid), np.float32)]
        for first in range(0, len(numbers), self.image.batch_size):
            x = self.image.encode(seen.data["items"], numbers[first : first + self.image.batch_size])
            out.append(self.judge.distance(x, SNR).sqrt()[:, 0].numpy())
        return np.concatenate(out)

    def _worked_out(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        """(step, feature) and (step, h', w'), worked out once."""
        if "pictures" not in seen.kept:
            items, places = seen.data["items"], seen.data["places"]
            side = (min(POOL, self.grid[0]), min(POOL, self.grid[1]))
            content, odd = [], []
            for first in range(0, len(items), self.image.batch_size):
                x = self.image.encode(items, range(first, min(first + self.image.batch_size, len(items))))
                content.append(F.adaptive_avg_pool2d(x, side).flatten(1))
                odd.append(self.judge.distance(x, SNR).sqrt()[:, 0] / self.usual.clamp_min(1e-6))
            cells = np.zeros((len(places), *self.grid), np.float32)
            cells[places >= 0] = torch.cat(odd).numpy()[places[places >= 0]]
            numbers = np.concatenate([torch.cat(content).numpy(), oddness(torch.cat(odd).numpy())], 1)
            features = np.zeros((len(places), numbers.shape[1]), np.float32)
            features[places >= 0] = numbers[places[places >= 0]]
            seen.kept["pictures"] = features, cells
        return seen.kept["pictures"]

    def features(self, seen: Seen) -> np.ndarray:
        return self._worked_out(seen)[0]

    def cells(self, seen: Seen) -> np.ndarray:
        return self._worked_out(seen)[1]

    def size_of(self, seen: Seen, step: int) -> tuple[int, int]:
        place = seen.data["places"][step]
        return seen.data["items"].data.sizes[place] if place >= 0 else self.image.size

    def picture(self, seen: Seen, step: int) -> np.ndarray:
        return self.image.picture(seen.data["items"], int(seen.data["places"][step]))

    def full(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        return [None if p is None else [self.enlarged(seen, t, maps[t]) for t in range(a, b)]
                for p, (a, b) in zip(seen.pieces, seen.bounds, strict=True)]  # fmt: skip

    def where(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        return [None if p is None else [self.mask_of(seen, t, maps[t]) for t in range(a, b)]
                for p, (a, b) in zip(seen.pieces, seen.bounds, strict=True)]  # fmt: skip

    def decode(self, seen: Seen, x: np.ndarray, masks: Sequence[Any]) -> list[Any]:
        """Masked places take the pixels of the remembered normal that is nearest around them."""
        flat = self._flat_masks(seen, masks)
        out: list[Any] = []
        for piece, (start, end) in zip(seen.pieces, seen.bounds, strict=True):
            out.append(None if piece is None else [self._mended(seen, t, flat[t]) for t in range(start, end)])
        return out

    def _mended(self, seen: Seen, step: int, mask: Any) -> Any:
        if not seen.known[step]:
            return None
        picture = self.picture(seen, step)
        if mask is None or not np.any(mask):
            return picture.copy()
        items: Items = seen.data["items"]
        one = self.image.select(items, [int(seen.data["places"][step])])
        x = self.image.encode(one, [0])
        around = _context(x, torch.from_numpy(self.touched(mask)), self.image.gallery_x.float())
        return self.image.decode([around], one, [np.asarray(mask, bool)])[0]

    def config(self) -> dict[str, Any]:
        return {"image": self.image.config(), "grid": list(self.grid)}

    def restore(self, config: Mapping[str, Any]) -> None:
        self.image.restore(config["image"])
        self.grid, self.fitted = (int(config["grid"][0]), int(config["grid"][1])), True
        self.judge = _judge((1, *self.grid))


def oddness(cells: np.ndarray) -> np.ndarray:
    """(n, 2): how odd the cells (n, h', w') of each picture are, on average and at their oddest, as logarithms."""
    flat = np.sort(cells.reshape(len(cells), -1), axis=1)
    return np.log(np.stack([flat.mean(1), flat[:, -5:].mean(1)], 1) + 1e-3)


def _judge(shape: tuple[int, ...]) -> GaussianDenoiser:
    return GaussianDenoiser(Space("image", shape, aligned=True), Diffusion(), {"shrinkage": 0.01})


def _context(x: Tensor, hole: Tensor, gallery: Tensor) -> Tensor:
    """x (1, c, h, w) with its hole taken from the remembered normal that is nearest outside it."""
    outside = (~hole).float()
    distance = ((gallery - x) ** 2 * outside).flatten(1).sum(1)
    return torch.where(hole, gallery[int(distance.argmin())], x)


def _frame_of(piece: Any, place: int) -> np.ndarray:
    if isinstance(piece, Clip):
        return piece.frame(place)
    from detectors.data import open_image

    return open_image(piece[place])


def _grey(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float64) if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])
