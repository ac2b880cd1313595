"""Says what the columns of a data frame mean: which one is time, which are channels, categories, row names.

Turns a raw frame into a series (index = time stamps, numeric channels) or a table (numbers and categories), and puts
into words whatever it left out or changed. Knows nothing of files and nothing of detectors.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from detectors.errors import AnomalyError
from detectors.readers.files import counted

_TIME_NAME = re.compile(r"(^|[_\s.-])(time|timestamp|date|datetime|ts|zeit|datum)($|[_\s.-])|^t$|_at$|time$", re.I)
_ID_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|nr|no|index|row|number)$|^unnamed: ?\d+$|(?-i:[a-z]Id)$", re.I)
_TRUTH_NAME = re.compile(r"^(y|y_?true|(is_?)?anomal(y|ous|ies)|(test_|true_)?labels?|changepoints?|is_?fraud)$", re.I)
# a number counts s, ms, us or ns since 1970 if that puts it between 1990 and 2100
_DOTTED = re.compile(r"\s*\d{1,2}\.\d{1,2}\.\d{2,4}")
_DATE = (
    r"\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})|\d{8}(?=T|\s|$)|\d{4}-\d{2}(?=$)"
    r"|(?:\w{3,9},?\s+)?\d{1,2}[\s-][A-Za-z]{3,9}[\s,-]+\d{4}|[A-Za-z]{3,9}\s+\d{1,2},?\s+\d{4})(?=[T\s,]|$)"
)
_PER_SECOND = (1.0, 1e3, 1e6, 1e9)
_EPOCH = (631152000.0, 4102444800.0)


@dataclass(frozen=True)
class Read:
    """A frame in the form detectors take, the rows' own names where there are any, and what was done to it."""

    frame: pd.DataFrame
    names: list[str] | None
    notes: list[str]


# ---------------------------------------------------------------- which of the two


def guess_modality(frame: pd.DataFrame) -> tuple[str, str]:
    """("series" | "table", the reason in words) for a raw frame."""
    if isinstance(frame.index, pd.DatetimeIndex):
        return "series", "its index holds time stamps"
    found = find_time(frame)
    if found is None:
        return "table", "it has no column of time stamps"
    name, stamps = found
    steps = _steps(stamps)
    if len(steps) == 0 or (steps < 0).mean() > 0.01:
        return "table", f"the times in {name!r} are in no order"
    rest = frame.drop(columns=[name])
    numeric = [c for c in rest if pd.api.types.is_numeric_dtype(rest[c])]
    regular = _regular(steps)
    if not numeric or (not regular and len(numeric) < rest.shape[1]):
        return "table", f"the times in {name!r} are irregular and columns of text stand beside them"
    return "series", f"{name!r} holds time stamps in order"


def find_time(frame: pd.DataFrame) -> tuple[str, pd.Series] | None:
    """The column of time stamps, parsed to UTC without zone: one that is named so, else a first one of dates."""
    named = [c for c in frame.columns if _TIME_NAME.search(str(c))]
    first = [c for c in frame.columns[:1] if c not in named and not pd.api.types.is_numeric_dtype(frame[c])]
    for column in [*named, *first]:
        stamps = _parse_times(frame[column])
        if stamps is not None:
            return str(column), stamps
    return None


def _parse_times(column: pd.Series) -> pd.Series | None:
    """Stamps (datetime64, NaT where one is unreadable) if at least 95 of 100 values are times, else None."""
    known = column.dropna()
    if known.empty or isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == bool:
        return None
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column):
        middle = float(known.median())
        for per_second in _PER_SECOND:
            if _EPOCH[0] <= middle / per_second <= _EPOCH[1]:
                seconds = pd.Series(column.to_numpy(np.float64, na_value=np.nan), index=column.index) / per_second
                seconds = seconds.where(seconds.between(*_EPOCH))  # one absurd stamp must not cost the column
                return pd.to_datetime(seconds, unit="s", errors="coerce")
        return None
    text = column.astype("str").where(column.notna())
    # a lenient parser reads dates into codes, versions and addresses: first a look whether these are dates at all
    if text.dropna().head(50).str.match(_DATE).mean() < 0.95:
        return None
    return parse_text_times(text)


def parse_text_times(text: pd.Series) -> pd.Series | None:
    """Texts as stamps in UTC without zone, or None where over 5 in 100 are no times.

    Dates with points (1.3.2026) have the day first. Where both readings of 01/03/2026 are possible, the one counts that
    is in order, then the one of the shorter span: mixing up day and month turns days into months.
    """
    dotted = bool(text.dropna().head(50).str.match(_DOTTED).mean() > 0.5)
    month_first: list[dict[str, Any]] = [] if dotted else [{"format": "mixed"}]
    readings: list[dict[str, Any]] = [{"format": "ISO8601"}, *month_first, {"format": "mixed", "dayfirst": True}]
    best: pd.Series | None = None
    for options in readings:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            stamps = pd.to_datetime(text, errors="coerce", utc=True, **options).dt.tz_localize(None)
        if stamps.notna().sum() < 0.95 * text.notna().sum():
            continue
        if best is None or (_disorder(stamps), _extent(stamps)) < (_disorder(best), _extent(best)):
            best = stamps
        if options["format"] == "ISO8601":
            break
    return best


def _extent(stamps: pd.Series) -> float:
    """Seconds from the first to the last stamp."""
    return float((stamps.max() - stamps.min()).total_seconds())


def _disorder(stamps: pd.Series) -> float:
    steps = _steps(stamps)
    return float((steps < 0).mean()) if len(steps) else 0.0


def _steps(stamps: pd.Series | pd.DatetimeIndex) -> np.ndarray:
    """Seconds between neighbouring stamps."""
    return np.diff(stamps.dropna().to_numpy("datetime64[ns]").astype(np.int64)) / 1e9


def _regular(steps: np.ndarray) -> bool:
    """Whether most steps equal the usual one."""
    usual = float(np.median(steps))
    return bool((np.abs(steps - usual) <= 0.1 * usual).mean() > 0.5)


# ---------------------------------------------------------------- series


def as_series(frame: pd.DataFrame, what: str) -> Read:
    """Numeric channels over time: index = stamps in order (a plain count where there are none), float64, NaN kept.

    `what` names the source in messages. Raises AnomalyError when nothing numeric is left or the rows are not one
    stamp each.
    """
    notes: list[str] = []
    frame = _with_names(frame, what)
    frame, stamps = _split_time(frame, what, notes)
    frame = _drop_truth(frame, notes)
    channels = {str(name): _numeric(frame[name], notes) for name in frame.columns}
    left_out = [name for name, column in channels.items() if column is None]
    kept = {name: column for name, column in channels.items() if column is not None}
    if left_out:
        notes.append(f"Left out, as a channel must be numeric: {_quoted(left_out)}.")
    if not kept:
        raise AnomalyError(f"{what} has no numeric channel{f'; not numeric: {_quoted(left_out)}' if left_out else ''}.")
    out = pd.DataFrame({name: column.to_numpy(np.float64) for name, column in kept.items()})
    if stamps is not None:
        out.index = pd.DatetimeIndex(stamps, name="time")
        out = _in_order(out, what, notes)
    _note_values(out, what, notes)
    return Read(out, None, notes)


def _split_time(frame: pd.DataFrame, what: str, notes: list[str]) -> tuple[pd.DataFrame, np.ndarray | None]:
    if isinstance(frame.index, pd.DatetimeIndex):
        index = frame.index.tz_convert("UTC").tz_localize(None) if frame.index.tz is not None else frame.index
        return frame.reset_index(drop=True), np.asarray(index)
    found = find_time(frame)
    if found is None:
        counter = [c for c in frame.columns if _TIME_NAME.search(str(c)) and _is_counter(frame[c])]
        if counter and frame.shape[1] > 1:
            notes.append(f"Column {counter[0]!r} only counts the rows; it gives their order, not their time.")
            return frame.drop(columns=counter[:1]), None
        notes.append("No time stamps were found; rows are numbered from 0.")
        return frame, None
    name, stamps = found
    lost = stamps.isna()
    if lost.any():
        first = int(np.flatnonzero(lost.to_numpy())[0])
        if lost.mean() > 0.05:
            raise AnomalyError(
                f"{what}: {counted(int(lost.sum()), 'row')} without a readable time in {name!r} (first: row {first})."
            )
        notes.append(
            f"{counted(int(lost.sum()), 'row')} without a readable time in {name!r} left out (first: row {first})."
        )
    if str(frame[name].dtype).endswith("UTC]") or _has_zone(frame[name]):
        notes.append(f"Times in {name!r} are shown in UTC.")
    rest = frame.loc[~lost.to_numpy()].drop(columns=[name]).reset_index(drop=True)
    return rest, stamps[~lost.to_numpy()].to_numpy()


def _in_order(frame: pd.DataFrame, what: str, notes: list[str]) -> pd.DataFrame:
    """Sorts stamps, keeps the last row of repeated ones, and says where the clock jumps. Rows are never invented."""
    if not frame.index.is_monotonic_increasing:
        notes.append("Rows were not in the order of time; they have been sorted.")
        frame = frame.sort_index(kind="stable")
    twice = frame.index.duplicated(keep="last")
    if twice.mean() > 0.2:
        raise AnomalyError(
            f"{what}: {int(twice.sum())} of {len(frame)} rows repeat a time stamp, as when several machines or sensors "
            "stand below each other; give one row per time stamp and one column per channel."
        )
    if twice.any():
        notes.append(f"{counted(int(twice.sum()), 'row')} with a repeated time stamp; the last of each was kept.")
        frame = frame[~twice]
    steps = _steps(pd.DatetimeIndex(frame.index))
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > 2.5 * usual)
    if len(gaps):
        worst = gaps[np.argmax(steps[gaps])]
        notes.append(
            f"Time has {counted(len(gaps), 'gap')} against the usual step of {_span(usual)}; "
            f"the longest is {_span(steps[worst])} after {frame.index[worst].isoformat()}."
        )
    return frame


def _has_zone(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column):
        return False
    first = column.dropna().astype("str").head(1)
    return bool(first.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True).any())


def _is_counter(column: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(column) or len(column) < 2:
        return False
    steps = np.diff(column.to_numpy(np.float64))
    return bool(np.isfinite(steps).all() and (steps > 0).all() and np.allclose(steps, steps[0], rtol=1e-3))


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


# ---------------------------------------------------------------- tables


def as_table(frame: pd.DataFrame, what: str) -> Read:
    """Numbers (float64), categories (pandas category) and moments (datetime64, UTC), one row a sample; NaN = missing.

    Row numbers and ids become the rows' names (and the index) instead of features. Words in a column of numbers and
    infinite values stay as they are: in new data they are evidence.
    """
    notes: list[str] = []
    frame = _with_names(frame, what)
    names = None
    if not isinstance(frame.index, pd.RangeIndex) and frame.index.is_unique:
        names = [str(value) for value in frame.index]
    frame = _drop_truth(frame.reset_index(drop=True), notes)
    frame, names = _take_ids(frame, names, notes)
    out = pd.DataFrame({str(name): _feature(str(name), frame[name], notes) for name in frame.columns})
    if out.shape[1] == 0:
        raise AnomalyError(f"{what} has no column left to judge a row by.")
    _note_values(out, what, notes)
    if names is not None:
        out.index = pd.Index(names, name="row")
    return Read(out, names, notes)


def _take_ids(frame: pd.DataFrame, names: list[str] | None, notes: list[str]) -> tuple[pd.DataFrame, list[str] | None]:
    for name in frame.columns:
        column = frame[name]
        if not _ID_NAME.search(str(name)) or pd.api.types.is_float_dtype(column) or frame.shape[1] == 1:
            continue
        if column.nunique() >= 0.9 * len(column):
            notes.append(f"Column {str(name)!r} numbers the rows; it names them and is no feature.")
            names = names or [str(value) for value in column]
            frame = frame.drop(columns=[name])
    return frame, names


def _feature(name: str, column: pd.Series, notes: list[str]) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        number = pd.Series(column.to_numpy(np.float64, na_value=np.nan), index=column.index)
        if np.isinf(number).any():
            notes.append(f"{counted(int(np.isinf(number).sum()), 'infinite value')} in {name!r}.")
        return number
    text = column.astype("str").where(column.notna()).str.strip()
    known = text.dropna()
    number = pd.to_numeric(text, errors="coerce").astype(np.float64)
    odd = known[number[known.index].isna()]
    if len(known) and len(odd) <= 0.1 * len(known):
        if len(odd):
            notes.append(f"{counted(len(odd), 'value')} of {name!r} no number ({_quoted(list(odd.unique()))}).")
        return text if len(odd) else number
    stamps = _parse_times(column)
    if stamps is not None:
        return stamps
    distinct = known.nunique()
    if distinct > 20 and distinct > 0.9 * len(known):
        notes.append(f"Column {name!r} looks like text or an id: {distinct} different values; consider leaving it out.")
    return text.astype("category") if len(known) else number


# ---------------------------------------------------------------- shared


def _with_names(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    if frame.shape[1] == 0 or len(frame) == 0:
        raise AnomalyError(f"{what} has no rows{' below its header' if frame.shape[1] else ''}.")
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis([" ".join(map(str, c)) for c in frame.columns], axis=1)
    names = [str(name).strip() or f"column {i + 1}" for i, name in enumerate(frame.columns)]
    return frame.set_axis(_distinct(names), axis=1)


def _distinct(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return out


def _drop_truth(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Labels of 0 and 1 are the answer, never an input."""
    for name in frame.columns:
        column = frame[name]
        if _TRUTH_NAME.match(str(name)) and frame.shape[1] > 1 and set(column.dropna().unique()) <= {0, 1}:
            notes.append(f"Column {str(name)!r} looks like a label (0 or 1); it is not used.")
            frame = frame.drop(columns=[name])
    return frame


def _numeric(column: pd.Series, notes: list[str]) -> pd.Series | None:
    """float64 with NaN for missing and infinite values; None if the column is not made of numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_datetime64_any_dtype(column):
        return None
    if pd.api.types.is_complex_dtype(column):
        return None
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        number = pd.Series(column.to_numpy(np.float64, na_value=np.nan), index=column.index)
    else:
        known = column.dropna().astype("str").str.strip()
        number = pd.to_numeric(column.astype("str").where(column.notna()).str.strip(), errors="coerce").astype(
            np.float64
        )
        odd = known[number[known.index].isna()]
        if len(known) == 0 or len(odd) > 0.1 * len(known) or odd.nunique() > 5:
            # all missing: a sensor that said nothing is still a channel; words are not
            return number if len(known) == 0 else None
        if len(odd):
            words = _quoted(list(odd.unique()))
            notes.append(f"{counted(len(odd), 'value')} of {str(column.name)!r} no number ({words}): missing.")
    infinite = np.isinf(number.to_numpy())
    if infinite.any():
        notes.append(f"{counted(int(infinite.sum()), 'infinite value')} of {str(column.name)!r} read as missing.")
        number = number.mask(infinite)
    return number


def _note_values(frame: pd.DataFrame, what: str, notes: list[str]) -> None:
    missing = frame.isna().sum()
    if missing.sum() == frame.size:
        raise AnomalyError(f"{what} holds no value at all: every cell is missing.")
    if missing.sum():
        worst = missing.idxmax()
        notes.append(
            f"{counted(int(missing.sum()), 'value')} missing ({100 * missing.sum() / frame.size:.1f}%), "
            f"most in {worst!r} ({int(missing.max())})."
        )
    constant = [str(name) for name in frame.columns if frame[name].nunique() <= 1]
    if constant and len(frame) > 1:
        notes.append(f"Constant: {_quoted(constant)}.")


def _quoted(names: Sequence[object]) -> str:
    shown = ", ".join(repr(str(name))[:60] for name in list(names)[:6])
    return shown + (f" and {len(names) - 6} more" if len(names) > 6 else "")
