"""Reads data files into raw data frames, one column as it stands in the file.

Knows file formats, encodings and separators; not what a column means (see columns.py), and no pickle, ever.
"""

from __future__ import annotations

import csv
import json
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detectors.errors import AnomalyError

DATA_SUFFIXES = (".csv", ".tsv", ".parquet", ".npz", ".npy", ".json", ".jsonl")
MAX_DATA_BYTES = 2 * 2**30
_MISSING = ["?", "-", "--", ".", "NaN", "nan", "none", "None", "NULL", "null", "N/A", "n/a", "NA", "#N/A", ""]
_TIME_KEYS = ("t", "time", "times", "timestamp", "timestamps", "ts", "date", "dates", "datetime")
_NAME_KEYS = ("columns", "channels", "features", "names", "feature_names", "channel_names")
_TRUTH_KEYS = ("y", "label", "labels", "test_label", "train_label", "interpretation")
_DATA_KEYS = ("x", "data", "value", "values", "series", "train")


@dataclass
class Raw:
    """What one file held: the frame (or an image stack), whether stamps came with it, and what is worth saying."""

    frame: pd.DataFrame | None
    array: np.ndarray | None = None  # 3 or 4 dimensions: pictures
    notes: list[str] = field(default_factory=list)
    series_like: str = ""  # why the file itself speaks of a series; "" if it does not


def read_raw(path: Path, key: str | None = None) -> Raw:
    """One data file as a frame; `key` chooses an array of an .npz. AnomalyError says what is wrong with the file."""
    size = path.stat().st_size
    if size == 0:
        raise AnomalyError(f"The file {path.name!r} is empty (0 bytes).")
    if size > MAX_DATA_BYTES:
        raise AnomalyError(
            f"The file {path.name!r} is {size / 2**30:.1f} GB; the limit is {MAX_DATA_BYTES / 2**30:.0f} GB: split it."
        )
    suffix = path.suffix.lower()
    if key is not None and suffix != ".npz":
        raise AnomalyError(f"'::{key}' chooses an array of an .npz file; {path.name!r} has no such parts.")
    try:
        if suffix in (".csv", ".tsv"):
            return _read_text_table(path)
        if suffix == ".parquet":
            import pyarrow.parquet

            return Raw(pyarrow.parquet.read_table(path).to_pandas())
        if suffix == ".npz":
            if not zipfile.is_zipfile(path):
                raise AnomalyError(f"The file {path.name!r} is damaged or cut short: it is no .npz archive.")
            return _read_npz(path, key)
        if suffix == ".npy":
            return from_array(np.load(path, allow_pickle=False), path.name)
        return Raw(_read_json(path))
    except AnomalyError:
        raise
    except PermissionError:
        raise AnomalyError(f"The file {path.name!r} may not be read (permission denied).") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, csv.Error) as error:
        # pandas, pyarrow, numpy and json all raise kinds of these for a damaged file
        said = (str(error).strip().splitlines() or ["no data"])[0][:120].rstrip(".")
        if "allow_pickle" in said:
            said = "it holds pickled Python objects, which are never opened; save plain numbers"
        raise AnomalyError(f"The file {path.name!r} cannot be read as {suffix[1:]}: {said}.") from None


def from_array(array: np.ndarray, what: str, names: list[str] | None = None) -> Raw:
    """A numeric array as a frame, one column per channel ("x0", "x1", ... without names); pictures as given."""
    if array.dtype.names is not None:
        raise AnomalyError(f"{what} holds records, not plain numbers; save it as numbers, CSV or Parquet.")
    if array.ndim in (3, 4) and array.dtype == np.uint8:
        return Raw(None, array=array)
    if array.ndim not in (1, 2):
        raise AnomalyError(f"{what} has shape {array.shape}; a series or table has (row) or (row, column).")
    if 0 in array.shape:
        raise AnomalyError(f"{what} of shape {array.shape} is empty.")
    columns = array.reshape(len(array), -1)
    if names is None or len(names) != columns.shape[1]:
        names = ["value"] if array.ndim == 1 else [f"x{i}" for i in range(columns.shape[1])]
    return Raw(
        pd.DataFrame(columns, columns=names), series_like="it is one column of numbers" if array.ndim == 1 else ""
    )


def counted(number: int, noun: str) -> str:
    """ "1 row", "3 rows"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# ---------------------------------------------------------------- csv and tsv


def _read_text_table(path: Path) -> Raw:
    notes: list[str] = []
    with path.open("rb") as file:
        head = file.read(65536)
    encoding = _encoding(path, head, notes)
    lines = [line for line in head.decode(encoding, errors="ignore").splitlines() if line.strip()]
    if not lines:
        raise AnomalyError(f"The file {path.name!r} holds no text.")
    separator = "\t" if path.suffix.lower() == ".tsv" else _separator(lines)
    decimal = "," if separator in ";\t" and _has_decimal_commas(lines, separator) else "."
    names = next(csv.reader(lines[:1], delimiter=separator))
    headless = all(_is_number(cell, decimal) for cell in names)
    trailing = not lines[0].endswith(separator) and all(line.endswith(separator) for line in lines[1:-1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path,
            sep=separator,
            decimal=decimal,
            header=None if headless else 0,
            index_col=False if trailing and len(lines) > 2 else None,
            encoding=encoding,
            encoding_errors="replace",
            na_values=_MISSING,
            keep_default_na=False,
            skipinitialspace=True,
            on_bad_lines="warn",
            low_memory=False,
        )
    _note_bad_lines(path, frame, [str(w.message) for w in caught], notes)
    if headless:
        notes.append("The file has no header line; its columns are named x0, x1, ...")
        frame.columns = pd.Index([f"x{i}" for i in range(frame.shape[1])])
    if not isinstance(frame.index, pd.RangeIndex):
        if isinstance(frame.index, pd.MultiIndex):
            raise AnomalyError(f"The rows of {path.name!r} have more fields than its header line has names.")
        frame = frame.reset_index(names="row")  # one name too few: the first column holds the rows' names
    twice = [name for name, n in Counter(name.strip() for name in names).items() if n > 1 and name]
    if twice and not headless:
        notes.append(f"Column names that occur twice are numbered: {', '.join(map(repr, twice[:5]))}.")
    return Raw(frame, notes=notes)


def _note_bad_lines(path: Path, frame: pd.DataFrame, warned: list[str], notes: list[str]) -> None:
    bad = [line for text in warned for line in text.splitlines() if line.startswith("Skipping line")]
    if not bad:
        return
    first = bad[0].removeprefix("Skipping ")
    if len(bad) > 0.05 * (len(frame) + len(bad)):
        raise AnomalyError(f"The file {path.name!r} is no regular table: {len(bad)} lines do not fit ({first}).")
    notes.append(f"{counted(len(bad), 'line')} with too many fields left out ({first}).")


def _encoding(path: Path, head: bytes, notes: list[str]) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        raise AnomalyError(f"The file {path.name!r} is not text, in spite of its ending {path.suffix}.")
    try:
        # the cut may fall inside a character: the last 3 bytes do not count
        head.decode("utf-8") if len(head) < 65536 else head[:-3].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 6:
            notes.append("The file is not UTF-8; it was read as Windows-1252.")
            return "cp1252"
    return "utf-8-sig"


def _separator(lines: list[str]) -> str:
    """The character that splits the first lines into the same number of fields, more than one; first of all one that
    splits the header line so as well: decimal commas stand in rows alone."""
    probe = lines[: min(len(lines), 30)]
    best, rank = ",", (False, 1)
    for candidate in (",", ";", "\t", "|"):
        widths = [len(row) for row in csv.reader(probe, delimiter=candidate)]
        width, agreeing = Counter(widths).most_common(1)[0]
        if width > 1 and (widths[0] == width, width) > rank and agreeing >= 0.7 * len(probe):
            best, rank = candidate, (widths[0] == width, width)
    return best


def _has_decimal_commas(lines: list[str], separator: str) -> bool:
    cells = [cell.strip() for row in csv.reader(lines[1:50], delimiter=separator) for cell in row]
    commas = sum(cell.count(",") == 1 and _is_number(cell, ",") for cell in cells)
    points = sum("." in cell and _is_number(cell, ".") for cell in cells)
    return commas > points


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.strip().replace(decimal, ".") if decimal != "." else cell)
    except ValueError:
        return False
    return cell.strip().lower() not in ("nan", "inf", "infinity")


# ---------------------------------------------------------------- npz


def _read_npz(path: Path, key: str | None) -> Raw:
    with np.load(path, allow_pickle=False) as bundle:
        shapes = {name: _peek(bundle, name) for name in bundle.files}
        if not shapes:
            raise AnomalyError(f"The file {path.name!r} holds no arrays.")
        chosen = key or _only_data_key(path, shapes)
        if chosen not in shapes:
            raise AnomalyError(f"{path.name!r} has no array {chosen!r}; it holds {_listing(shapes)}.")
        if shapes[chosen][2] > MAX_DATA_BYTES:
            raise AnomalyError(f"The array {chosen!r} of {path.name!r} unpacks to {shapes[chosen][2] / 2**30:.1f} GB.")
        names = _strings_beside(bundle, chosen, shapes)
        raw = from_array(bundle[chosen], f"The array {chosen!r} of {path.name!r}", names)
        stamps = _time_beside(bundle, chosen, shapes)
    ignored = sorted(set(shapes) & set(_TRUTH_KEYS))
    raw.notes.append(
        f"Read the array {chosen!r} of {path.name!r}" + (f"; {', '.join(ignored)} not used." if ignored else ".")
    )
    if raw.frame is not None and stamps is not None:
        raw.frame.insert(0, "time", stamps)
    if stamps is not None or {"train", "test"} <= set(shapes):
        raw.series_like = (
            "its arrays speak of time" if stamps is not None else "it has train and test beside each other"
        )
    return raw


def _peek(bundle: Any, name: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """(shape, type, bytes) of an array from its header, without unpacking it."""
    member = name if name in bundle.zip.namelist() else f"{name}.npy"
    with bundle.zip.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype, int(np.prod(shape, dtype=np.float64)) * dtype.itemsize


def _only_data_key(path: Path, shapes: dict[str, Any]) -> str:
    """The one array that can be meant; several (train and test, say) have to be chosen from."""
    aside = (*_TRUTH_KEYS, *_TIME_KEYS, *_NAME_KEYS)
    numeric = {
        name: shape
        for name, (shape, dtype, _) in shapes.items()
        if dtype.kind in "fiu" and len(shape) >= 1 and name.lower() not in aside
    }
    known = [name for name in numeric if name.lower() in _DATA_KEYS]
    if len(numeric) == 1:
        return next(iter(numeric))
    if len(known) == 1 and not {"train", "test"} <= set(shapes):
        return known[0]
    raise AnomalyError(
        f"{path.name!r} holds several arrays, choose one as {path.name}::NAME; it holds {_listing(shapes)}."
    )


def _listing(shapes: dict[str, Any]) -> str:
    text = ", ".join(f"{name} {shape} {dtype}" for name, (shape, dtype, _) in list(shapes.items())[:12])
    return text + (f" and {len(shapes) - 12} more" if len(shapes) > 12 else "")


def _strings_beside(bundle: Any, chosen: str, shapes: dict[str, Any]) -> list[str] | None:
    """Column names stored next to the array, recognised by type and length."""
    shape = shapes[chosen][0]
    for name in (f"{chosen}_names", f"{chosen}_columns", *_NAME_KEYS):
        if name in shapes and shapes[name][1].kind == "U" and shapes[name][0] == shape[1:2]:
            return [str(value) for value in bundle[name]]
    return None


def _time_beside(bundle: Any, chosen: str, shapes: dict[str, Any]) -> np.ndarray | None:
    length = shapes[chosen][0][:1]
    for name in (*(f"{chosen}_{t}" for t in _TIME_KEYS), *_TIME_KEYS):
        if name in shapes and shapes[name][0] == length and shapes[name][1].kind in "iufM" and name != chosen:
            return bundle[name]
    return None


# ---------------------------------------------------------------- json


def _read_json(path: Path) -> pd.DataFrame:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".jsonl":
        data: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        data = json.loads(text)
    if isinstance(data, dict) and data and all(isinstance(column, list) for column in data.values()):
        return pd.DataFrame(data)
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return pd.json_normalize(data, max_level=2)
    raise AnomalyError(f"The file {path.name!r} is no table: give a list of records or a record of equal lists.")
