"""Pictures: files and arrays to cells of features (or of pixels) and back to maps, regions and mended pictures.

Knows pictures, sizes and colours; not methods, thresholds or p-values. Pictures are opened when they are needed and
let go again, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from detectors.data import open_image, read_source
from detectors.descriptors.images import describe_place
from detectors.detection import Measure, Part
from detectors.errors import AnomalyError
from detectors.localization import image_regions, regions_mask
from detectors.method import Space
from detectors.modalities.base import Event, Items, Modality
from detectors.networks.backbone import Backbone, from_description, load_backbone
from detectors.networks.filters import FILTERS, PATCH, FilterBank, to_cells
from detectors.pictures import Pictures, cells_touched, colour_spread, enlarged, grey_of, principal, resized, size_of
from detectors.readers.images import black_and_white
from detectors.repair import mend
from detectors.training import Run

CACHED = 256  # encoded pictures kept with opened samples
LEARN_FROM = 120  # pictures that the feature basis is learned from
GALLERY = 64  # normals kept as pictures, for counterfactuals
MEASURED = 2  # leading places of a picture that are described
COLOUR_TOLERANCE = 12  # grey pictures saved as colour JPEG differ by less between channels


class ImageModality(Modality):
    """Pictures of any sizes, brought to one size; maps and regions come back in each picture's own pixels.

    Settings: backbone (folder or hub id of a transformers vision model; "filters": a bank of Gabor filters, nothing
    pretrained; None: plain pixels, fastest); size (side in pixels of
    the square whose area the model sees, the aspect follows the normals'; None: theirs, at most 256 with a backbone and
    64 without: blowing pictures up was measured to harm);
    components (principal components kept of the stacked features); by_scale (whether up to half of them are of the fine
    layers alone and come first, see `Space.fine`); layers (hidden states to read; None: by stride);
    aligned (whether a place means the same in every picture; None: found out from the normals).
    Grey pictures are read as colour by a detector of colour pictures; colour pictures given to a detector of grey
    ones are an error, as are black-and-white pictures (masks) given to one of pictures with shades. Transparent
    parts are laid on white, 16-bit values scaled to 8.
    """

    name = "image"
    defaults: ClassVar[Mapping[str, Any]] = {
        "backbone": None,
        "size": None,
        "components": 128,
        "by_scale": True,
        "layers": None,
        "aligned": None,
    }
    batch_size = 16
    min_normals = 4

    center: Tensor  # (channel,) of raw features
    basis: Tensor  # (channel, component), scaled to about unit variance
    gallery: Tensor  # (m, h, w[, 3]) uint8 normals, at most 256 x 256 pixels in area
    gallery_x: Tensor  # (m, component, h', w') their encodings

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.size: tuple[int, int] = (0, 0)  # (h, w) that the model sees; (0, 0) before fit
        self.colour = True
        self.two_tones = False  # the normals hold only black and white
        self.aligned = True
        self.fine = 0  # leading components of fine layers
        self.backbone: Backbone | FilterBank | None = None
        size = self.settings["size"]
        if size is not None and not 32 <= size <= 2048:
            raise AnomalyError(f"size={size} must lie between 32 and 2048 pixels.")

    # --- samples in ------------------------------------------------------------------------------------------------
    def open(self, samples: Any) -> Items:
        if isinstance(samples, str | Path) or (isinstance(samples, np.ndarray) and samples.ndim != 4):
            source = read_source(samples, "image")
            sources, names = list(source.samples), source.names
        else:
            sources, names = list(samples), None
        if names is None:
            names = [s.name if isinstance(s, Path) else Path(s).name if isinstance(s, str) else f"image {i}"
                     for i, s in enumerate(sources)]  # fmt: skip
        pictures = Pictures(
            [Path(s) if isinstance(s, str) else s for s in sources],
            [size_of(s, name) for s, name in zip(sources, names, strict=True)],
        )
        return Items(pictures, len(sources), len(sources), names)

    def select(self, items: Items, samples: Sequence[int]) -> Items:
        data: Pictures = items.data
        chosen = list(samples)
        cache = {new: data.cache[old] for new, old in enumerate(chosen) if old in data.cache}
        part = Pictures([data.sources[i] for i in chosen], [data.sizes[i] for i in chosen], cache)
        names = None if items.names is None else [items.names[i] for i in chosen]
        return Items(part, len(chosen), len(chosen), names)

    def picture(self, items: Items, row: int) -> np.ndarray:
        """One picture as uint8, (h, w) or (h, w, 3). Raises AnomalyError for a mask and for what cannot be read."""
        source = items.data.sources[row]
        picture = open_image(source)
        name = items.names[row] if items.names is not None else str(row)
        if not self.two_tones and black_and_white(picture):
            raise AnomalyError(f"The image {name!r} looks like a mask: it holds only black and white. Leave it out.")
        return picture

    def _seen(self, items: Items, row: int) -> np.ndarray:
        """The picture at model size, with the colours of the fit: (h, w, 1 or 3) uint8."""
        return resized(self._coloured(items, row), self.size).reshape(*self.size, -1)

    def _coloured(self, items: Items, row: int) -> np.ndarray:
        """The picture with the colours of the fit: (h, w) or (h, w, 3) uint8."""
        picture = self.picture(items, row)
        if picture.ndim == 3 and not self.colour:
            # wider than at the fit: normals near the bound must not be refused
            if colour_spread(picture) > 3 * COLOUR_TOLERANCE:
                raise AnomalyError(
                    f"The image {items.names[row] if items.names else row!r} has colours, but the detector was fitted "
                    "on grey pictures; convert it to grey or fit on colour pictures."
                )
            picture = np.asarray(Image.fromarray(picture).convert("L"))
        if picture.ndim == 2 and self.colour:
            picture = np.repeat(picture[..., None], 3, axis=2)
        return picture

    def split(self, items: Items, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """A fifth, at least 20 of 40: below 20 held-out pictures no p-value goes under 1 / (m + 1)."""
        order = torch.randperm(len(items), generator=generator).tolist()
        held = min(len(items) // 2, max(20, len(items) // 5))
        return sorted(order[held:]), sorted(order[:held])

    def fit(self, items: Items, rows: Sequence[int], run: Run) -> None:
        rows = list(rows)
        self.prepare(items, rows)
        self._learn_basis(items, rows, run)
        self._judge_alignment(items, rows)
        self._fill_gallery(items, rows)
        run.progress(1.0, "learning the features")

    def prepare(self, items: Items, rows: Sequence[int]) -> None:
        """Settle colour, input size and backbone for these normals; then `features` can be asked for."""
        data: Pictures = items.data
        data.cache.clear()
        self.two_tones = True  # none is refused before they have been looked at
        some = [self.picture(items, r) for r in rows[:: len(rows) // 20 + 1]]
        self.colour = any(colour_spread(picture) > COLOUR_TOLERANCE for picture in some)
        self.two_tones = all(black_and_white(picture) for picture in some)
        name = self.settings["backbone"]
        self.backbone = None if name is None else FilterBank() if name == FILTERS else load_backbone(str(name))
        native, multiple = (256, self.backbone.multiple) if self.backbone is not None else (64, PATCH)
        self.size = data.usual_size(rows, self.settings["size"], native, multiple)
        if self.backbone is not None:
            self.backbone.layers = list(self.settings["layers"] or [])
            self.backbone.choose_layers(*self.size)

    def _learn_basis(self, items: Items, rows: Sequence[int], run: Run) -> None:
        """Principal components of features (pixels as they are), all divided by one number: their weights stay."""
        chosen = rows[:: -(-len(rows) // LEARN_FROM)]
        total, square, count = torch.zeros(()), torch.zeros(()), 0
        for first in range(0, len(chosen), self.batch_size):
            raw = self.features(items, chosen[first : first + self.batch_size])
            points = raw.permute(0, 2, 3, 1).reshape(-1, raw.shape[1]).double()
            total, square, count = total + points.sum(0), square + points.T @ points, count + len(points)
            run.progress(0.9 * first / len(chosen), "learning the features")
        mean = total / count
        covariance = square / count - mean[:, None] * mean
        if not covariance.diagonal().mean() > 1e-8:
            raise AnomalyError("All normal images are one even colour; there is nothing to learn from them.")
        if self.backbone is None:
            basis = torch.eye(len(mean), dtype=torch.float64)  # white noise on cells stays white noise on pixels
        else:
            fine = self.backbone.fine if self.settings["by_scale"] else 0
            basis, self.fine = principal(covariance, self.settings["components"], fine)
        variance = ((covariance @ basis) * basis).sum(0).mean()
        self.learn(center=mean.float(), basis=(basis / variance.sqrt()).float())

    def _judge_alignment(self, items: Items, rows: Sequence[int]) -> None:
        """Pictures are aligned where the mean over pictures explains more of the variance of cells than chance does."""
        if self.settings["aligned"] is not None:
            self.aligned = bool(self.settings["aligned"])
            return
        chosen = rows[:: -(-len(rows) // LEARN_FROM)]
        total: Any = 0.0
        square = 0.0
        for first in range(0, len(chosen), self.batch_size):
            x = self.encode(items, chosen[first : first + self.batch_size])
            total, square = total + x.sum(0), square + float((x**2).sum())
        mean = total / len(chosen)
        explained = float((mean**2).sum()) / max(square / len(chosen), 1e-9)
        chance = 1 / len(chosen)  # what the mean of that many unrelated pictures explains
        self.aligned = len(rows) >= 16 and explained > 0.03 + 2 * chance

    def _fill_gallery(self, items: Items, rows: Sequence[int]) -> None:
        chosen = rows[:: -(-len(rows) // GALLERY)]
        height, width = self.size
        native = float(np.median([(h * w) ** 0.5 for h, w in (items.data.sizes[r] for r in chosen)]))
        zoom = min(native, 256) / (height * width) ** 0.5
        size = (round(height * zoom), round(width * zoom))
        pictures = np.stack([resized(self._coloured(items, r), size) for r in chosen])
        encoded = [self.encode(items, chosen[i : i + self.batch_size]) for i in range(0, len(chosen), self.batch_size)]
        self.learn(gallery=torch.from_numpy(pictures), gallery_x=torch.cat(encoded).half())

    @property
    def space(self) -> Space:
        height, width = self.size
        grid = self.backbone.grid(height, width) if self.backbone is not None else (height // PATCH, width // PATCH)
        return Space("image", (self.basis.shape[1], *grid), self.aligned, fine=self.fine)

    def features(self, items: Items, rows: Sequence[int]) -> Tensor:
        """Features before the change of basis: (len(rows), channel, h', w')."""
        seen = torch.from_numpy(np.stack([self._seen(items, r) for r in rows])).permute(0, 3, 1, 2)
        pictures = seen.float() / 255
        if self.backbone is None:
            return to_cells(pictures)
        device = next(chain(self.backbone.parameters(), self.backbone.buffers())).device
        return self.backbone(pictures.expand(-1, 3, -1, -1).to(device)).cpu()

    def encode(self, items: Items, rows: Sequence[int]) -> Tensor:
        data: Pictures = items.data
        missing = [r for r in rows if r not in data.cache]
        fresh: dict[int, Tensor] = {}
        if missing:
            raw = self.features(items, missing) - self.center.cpu().view(1, -1, 1, 1)
            x = torch.einsum("nchw,cd->ndhw", raw, self.basis.cpu()).contiguous()
            fresh = dict(zip(missing, x, strict=True))
        out = torch.stack([fresh[r] if r in fresh else data.cache[r] for r in rows])
        for row, one in fresh.items():
            if len(data.cache) >= CACHED:
                data.cache.pop(next(iter(data.cache)))  # the oldest
            data.cache[row] = one.clone()
        return out

    # --- maps out --------------------------------------------------------------------------------------------------
    def assemble(self, batches: Iterable[Tensor], items: Items, rows: Sequence[int]) -> np.ndarray:
        maps = [batch.sum(1) for batch in batches]
        grid = self.space.shape[1:]
        return torch.cat(maps).numpy() if maps else np.zeros((0, *grid), np.float32)

    def score(self, maps: np.ndarray) -> np.ndarray:
        """Mean of the highest hundredth of cells, at least five."""
        if not len(maps):
            return np.zeros(0)
        flat = maps.reshape(len(maps), -1)
        top = min(flat.shape[1], max(5, flat.shape[1] // 100))
        return np.sort(flat, axis=1)[:, -top:].mean(1).astype(np.float64)

    def level(self, maps: np.ndarray) -> float:
        """What the highest cell of every second held-out normal stays below: hardly a cell in a thousand exceeds it."""
        return float(np.median(maps.reshape(len(maps), -1).max(1)))

    def full_maps(self, maps: np.ndarray, items: Items) -> list[np.ndarray]:
        return [enlarged(m, size) for m, size in zip(maps, items.data.sizes, strict=True)]

    # --- places and normal versions ---------------------------------------------------------------------------------
    def events(self, flags: np.ndarray, scores: np.ndarray, maps: np.ndarray, items: Items) -> list[Event]:
        found = []
        for index in np.flatnonzero(flags).tolist():
            full = enlarged(maps[index], items.data.sizes[index])
            name = items.names[index] if items.names is not None else str(index)
            found.append(Event(name, index, index, full, image_regions(full)))
        return found

    def where(self, maps: np.ndarray, items: Items) -> list[np.ndarray]:
        masks = []
        for cells, (height, width) in zip(maps, items.data.sizes, strict=True):
            regions = image_regions(enlarged(cells, (height, width)))
            margin = max(1, round(0.5 * height / cells.shape[0]))
            masks.append(regions_mask(regions, height, width, margin))
        return masks

    def holes(self, where: Any, items: Items, rows: Sequence[int]) -> Tensor:
        self._check_masks(where, items)
        grid = self.space.shape[1:]
        return torch.stack([cells_touched(np.asarray(where[r], bool), grid) for r in rows])[:, None]

    def _check_masks(self, where: Any, items: Items) -> None:
        if isinstance(where, np.ndarray) and where.ndim == 2:
            where = [where]
        if len(where) != len(items):
            raise AnomalyError(f"There are {len(items)} images but {len(where)} masks; give one mask an image.")
        for row, (mask, size) in enumerate(zip(where, items.data.sizes, strict=True)):
            if np.shape(mask) != size:
                raise AnomalyError(
                    f"The mask of image {row} has shape {np.shape(mask)}; "
                    f"its image has {size[0]} rows of {size[1]} pixels."
                )

    def decode(self, batches: Iterable[Tensor], items: Items, where: Any) -> list[np.ndarray]:
        """Mended pictures: inside the masks they take the pixels of the remembered normal nearest to what the
        diffusion model expects there. (Decoded cells would be blurred; a normal's own pixels are sharp and real.)"""
        mended = []
        for row, x in enumerate(x for batch in batches for x in batch.float()):
            mask = np.asarray(where[row], bool)
            picture = self.picture(items, row)
            if not mask.any():
                mended.append(picture.copy())
                continue
            content = self._nearest(x, cells_touched(mask, self.space.shape[1:]))
            content = resized(content, mask.shape)
            if picture.ndim == 2 and content.ndim == 3:
                content = content.mean(2).round().astype(np.uint8)
            if picture.ndim == 3 and content.ndim == 2:
                content = np.repeat(content[..., None], 3, axis=2)
            mended.append(mend(picture, content, mask))
        return mended

    def _nearest(self, x: Tensor, hole: Tensor) -> np.ndarray:
        """The remembered normal nearest to x (component, h', w') in the hole and the cells around it."""
        around = F.max_pool2d(hole[None].float(), 3, 1, 1)[0]
        distance = ((self.gallery_x.float() - x) ** 2 * around).flatten(1).sum(1)
        return self.gallery[int(distance.argmin())].numpy()

    def remembered(self, picture: Path | np.ndarray, count: int) -> tuple[list[np.ndarray], list[float], float]:
        """The remembered normals nearest to a picture, their distances (root mean square over cells and features), and
        the median distance of a remembered normal to its own nearest one."""
        x = self.encode(self.open([picture]), [0])[0].flatten()
        known = self.gallery_x.float().flatten(1).cpu()
        apart = (known - x).square().mean(1).sqrt()
        among = torch.cdist(known, known) / known.shape[1] ** 0.5
        among.fill_diagonal_(float("inf"))
        order = apart.argsort()[:count].tolist()
        pictures = [self.gallery[i].cpu().numpy() for i in order]
        return pictures, apart[order].tolist(), float(among.min(1).values.median())

    def describe(self, event: Event, items: Items, expected: Any) -> tuple[tuple[Part, ...], np.ndarray]:
        """Regions as parts, in mean grey levels 0..255; the signature tells how odd cells look, and where."""
        before, after = self.picture(items, event.index), expected[event.index]
        parts = []
        for region in event.regions:
            if region.box is None or region.mask is None:
                continue
            left, top, right, bottom = region.box
            grey = [float(grey_of(p[top:bottom, left:right])[region.mask].mean()) for p in (before, after)]
            parts.append(Part(region.name, min(1.0, region.share), round(grey[0], 2), round(grey[1], 2)))
        return tuple(parts), self._signature(event, items, after)

    def measure(self, event: Event, items: Items, expected: Any) -> tuple[Measure, ...]:
        """Descriptors of the first places, each over all that was replaced around it."""
        before, after = self.picture(items, event.index), expected[event.index]
        replaced = np.abs(before.astype(np.int16) - after).reshape(*event.map.shape, -1).any(2)
        height, width = event.map.shape
        found = []
        for region in event.regions[:MEASURED]:
            own = regions_mask((region,), height, width, margin=6)
            mask = own & replaced if (own & replaced).any() else own
            told = describe_place(before, after, mask)
            found += [Measure(region.name, name, value, unit) for name, (value, unit) in told.items()]
        return tuple(found)

    def _signature(self, event: Event, items: Items, after: np.ndarray) -> np.ndarray:
        """Mean change of features in the odd cells, beside the shape and place of the first region: (k,) float32."""
        x = self.encode(items, [event.index])[0]
        mended = Items(Pictures([after], [after.shape[:2]]), 1, 1, ["mended"])
        change = x - self.encode(mended, [0])[0]
        mask = regions_mask(event.regions, *event.map.shape)
        hole = cells_touched(mask, self.space.shape[1:])
        look = change[:, hole].mean(1)
        look = look / look.norm().clamp_min(1e-6)
        left, top, right, bottom = event.regions[0].box or (0, 0, 1, 1)
        height, width = event.map.shape
        place = [(left + right) / width - 1, (top + bottom) / height - 1]
        shape = [np.log(max(1, mask.sum()) / mask.size) / 10, np.log((right - left) / max(1, bottom - top)) / 3]
        return np.concatenate([look.numpy(), 0.3 * np.array(place + shape)]).astype(np.float32)

    # --- saving ----------------------------------------------------------------------------------------------------
    def config(self) -> dict[str, Any]:
        return {
            "input_size": list(self.size),
            "colour": self.colour,
            "two_tones": self.two_tones,
            "aligned": self.aligned,
            "fine": self.fine,
            "features": self.backbone.describe() if self.backbone is not None else None,
        }

    def restore(self, config: Mapping[str, Any]) -> None:
        height, width = config["input_size"]
        self.size, self.colour, self.aligned = (int(height), int(width)), config["colour"], config["aligned"]
        self.two_tones = bool(config.get("two_tones", False))  # models of before hold none of these
        self.fine = int(config.get("fine", 0))
        told = config["features"]
        self.backbone = (
            None if not told else FilterBank() if told == FilterBank().describe() else from_description(told)
        )
