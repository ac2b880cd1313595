"""Turns image files into uint8 arrays, and says why a file cannot be one.

Knows formats, orientation, depth and transparency; knows nothing of folders, detectors or other modalities.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from detectors.errors import AnomalyError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
MAX_PIXELS = 64_000_000  # beyond it a picture is refused: a few bytes can claim to be gigapixels
MAX_IMAGE_BYTES = 256 * 2**20
LIKE_A_MASK = "looks like a mask, not a picture: it holds only black and white"
_MASK_NAMES = ("mask", "ground_truth", "groundtruth", "label", "segmentation")


@dataclass(frozen=True)
class Checked:
    """What a look at one file told: `problem` is empty when it can be used; `remark` is worth saying anyway."""

    problem: str = ""
    remark: str = ""
    shades: bool = True  # False: black and white only


def open_image(source: str | Path | np.ndarray) -> np.ndarray:
    """The picture as uint8, (h, w) for grey and (h, w, 3) for colour; arrays of that kind pass through.

    EXIF orientation is applied; 16-bit values are brought to 8 bits on the fixed scale 65535 = 255, so pictures stay
    comparable; palettes become colour; transparent parts are laid on white; of several frames the first is taken.
    Raises AnomalyError with the file's name where that is impossible.
    """
    if isinstance(source, np.ndarray):
        return as_uint8(source, "the array")
    path = Path(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; what matters is raised or checked below
            return _decode(path)
    except AnomalyError as error:
        raise AnomalyError(f"The image {path.name!r} {error}.") from None
    except (Image.DecompressionBombError, UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise AnomalyError(f"The image {path.name!r} {_reason(path, error)}.") from None


def as_uint8(array: np.ndarray, what: str) -> np.ndarray:
    """An array given as an image, as uint8 (h, w) or (h, w, 3); AnomalyError names `what` if it is no image."""
    if array.ndim == 3 and array.shape[2] in (1, 2):
        array = array[..., 0]
    if array.ndim == 3 and array.shape[2] == 4:
        array = array[..., :3]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        raise AnomalyError(f"{what.capitalize()} of shape {array.shape} is no image; give (height, width[, channel]).")
    if array.dtype != np.uint8:
        try:
            return _scale(array)
        except AnomalyError as error:
            raise AnomalyError(f"{what.capitalize()} {error}.") from None
    return array


def check_images(paths: Sequence[Path]) -> list[Checked]:
    """A full look at each file (decoded once, then let go), so that a batch knows its bad files before it starts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(_check, paths))


def black_and_white(array: np.ndarray) -> bool:
    """Whether both black and white occur, and nothing else: a ground-truth mask, or a picture of two tones."""
    values = set(np.unique(array[::7, ::7]).tolist())  # a look at a few pixels settles it for most pictures
    return values <= {0, 1, 255} and set(np.unique(array).tolist()) in ({0, 255}, {0, 1})


def _called_mask(array: np.ndarray, path: Path) -> bool:
    """Whether a file calls itself a mask and is of at most two tones (one, where it is a mask of nothing)."""
    named = any(word in part.lower() for part in path.parts[-3:] for word in _MASK_NAMES)
    return named and set(np.unique(array).tolist()) <= {0, 1, 255}


def _check(path: Path) -> Checked:
    try:
        array = open_image(path)
    except AnomalyError as error:
        # the list of skipped files has the name already
        return Checked(str(error).removeprefix(f"The image {path.name!r} ").removesuffix("."))
    if _called_mask(array, path):
        return Checked(LIKE_A_MASK)
    if min(array.shape[:2]) < 8:
        return Checked(f"is only {array.shape[1]} x {array.shape[0]} pixels; at least 8 x 8 are needed")
    with Image.open(path) as image:
        if getattr(image, "n_frames", 1) > 1:
            return Checked(remark="several frames, of which the first is used")
        if image.mode.startswith(("I", "F")):
            return Checked(remark="more than 8 bits, brought to 8")
    return Checked(shades=not black_and_white(array))


def _decode(path: Path) -> np.ndarray:
    size = path.stat().st_size
    if size == 0:
        raise AnomalyError("is empty (0 bytes)")
    if size > MAX_IMAGE_BYTES:
        raise AnomalyError(f"is {size / 2**20:.0f} MB; the limit is {MAX_IMAGE_BYTES // 2**20} MB")
    with Image.open(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise AnomalyError(f"has {image.width} x {image.height} pixels; the limit is {MAX_PIXELS // 10**6} million")
        # a broken EXIF block must not cost the picture: Pillow's own reader ignores what it cannot parse
        upright = ImageOps.exif_transpose(image)
        return _to_array(upright)


def _to_array(image: Image.Image) -> np.ndarray:
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _scale(np.asarray(image))
    if mode == "1":
        return np.asarray(image.convert("L"))
    if mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA", "La", "RGBa"):
        grey = image.mode in ("LA", "La")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return np.asarray(Image.alpha_composite(white, image).convert("L" if grey else "RGB"))
    return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))


def _scale(array: np.ndarray) -> np.ndarray:
    """Deep or floating values to uint8 on a fixed scale: 0..1, 0..255 (floats) or 0..65535 (integers)."""
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise AnomalyError(f"holds values of type {array.dtype}, not brightness")
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.isfinite(array).all():
        raise AnomalyError("holds NaN or infinite values; replace them first")
    low, high = float(array.min()), float(array.max())
    top = 65535.0
    if np.issubdtype(array.dtype, np.floating):
        top = 1.0 if high <= 1 else 255.0
    elif array.dtype.itemsize > 2 and high <= 255:
        top = 255.0
    if low < 0 or high > top:
        raise AnomalyError(f"holds values from {low:g} to {high:g}; save it with 8 or 16 bits per channel")
    return np.rint(array.astype(np.float64) * (255.0 / top)).astype(np.uint8)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"claims more than the limit of {MAX_PIXELS // 10**6} million pixels"
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(error, UnidentifiedImageError):
        return f"is not an image, in spite of its ending {path.suffix}" if path.suffix else "is not an image"
    return (
        f"cannot be read, it is damaged or cut short ({str(error).splitlines()[0][:80] if str(error) else 'no data'})"
    )
