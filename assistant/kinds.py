"""Names the kind of anomaly that a finding's descriptors speak for, with a confidence; "unclear" where none fits well.

Kinds are data: `prompts/kinds/*.yaml`, and files of the same form in a folder of the user's own (setting `kinds`). A
kind has conditions on descriptors, alternatives of such conditions, or prototypes (descriptors of findings that people
named). Knows descriptors as plain numbers; not detectors, the store or pictures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from detectors.errors import AnomalyError

UNCLEAR = "unclear"
SURE_ENOUGH = 0.35  # confidence below which a kind is not named
REACH = 0.5  # mean difference of log-scaled descriptors at which a prototype hardly fits any more
_KEYS = {"name", "modality", "also", "description", "guide", "checks", "conditions", "any", "prototypes", "reach"}
Numbers = Mapping[str, float | int | str | None]


@dataclass(frozen=True)
class Bound:
    """A soft condition: at least `least`, at most `most`; half true there, `soft` away nearly true or untrue."""

    least: float | None = None
    most: float | None = None
    soft: float = 1.0

    def fit(self, value: Any) -> float:
        """0..1; 0 for what was not measured."""
        if not _is_number(value):
            return 0.0
        low = 1.0 if self.least is None else _rise((value - self.least) / self.soft)
        high = 1.0 if self.most is None else _rise((self.most - value) / self.soft)
        return min(low, high)


@dataclass(frozen=True)
class Kind:
    """One kind of anomaly, as its YAML tells it."""

    name: str
    modality: str
    description: str = ""
    guide: str = ""
    checks: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # other words for it
    groups: tuple[Mapping[str, Bound], ...] = ()  # alternatives; in each, every condition must hold
    prototypes: tuple[Mapping[str, float], ...] = ()
    reach: float = REACH

    def fit(self, numbers: Numbers) -> float:
        """How well descriptors fit, 0..1: the weakest condition of the best alternative, or the nearest prototype."""
        rules = [min(bound.fit(numbers.get(name)) for name, bound in group.items()) for group in self.groups]
        near = [math.exp(-((_distance(numbers, one) / self.reach) ** 2)) for one in self.prototypes]
        return max([0.0, *rules, *near])


@dataclass(frozen=True)
class Judged:
    """What the descriptors speak for."""

    kind: str  # a kind's name or UNCLEAR
    confidence: float  # 0..1, of the best kind, also where it is not named
    best: str = ""
    second: str = ""  # the next best kind
    second_fit: float = 0.0


@dataclass(frozen=True)
class Kinds:
    """All kinds that are known."""

    all: tuple[Kind, ...] = field(default_factory=tuple)

    def of(self, modality: str) -> list[Kind]:
        """The kinds of one modality."""
        return [kind for kind in self.all if kind.modality == modality]

    def judge(self, modality: str, numbers: Numbers) -> Judged:
        """The kind that fits best. Its confidence is its fit, times its part of the two best fits."""
        ranked = sorted(((kind.fit(numbers), kind.name) for kind in self.of(modality)), key=lambda one: -one[0])
        best, second = (*ranked, (0.0, ""), (0.0, ""))[:2]
        confidence = best[0] * best[0] / max(best[0] + second[0], 1e-12)
        name = best[1] if confidence >= SURE_ENOUGH else UNCLEAR
        return Judged(name, confidence, best[1], second[1] if second[0] > 0.05 else "", second[0])

    def called(self, text: str) -> str | None:
        """The kind that a text names, by its own name or another word for it; singular and plural are the same."""
        words = f" {_words(text)} "
        found = [(len(name), kind.name) for kind in self.all for name in _names(kind) if f" {name} " in words]
        return max(found)[1] if found else None

    def named(self, name: str, modality: str = "") -> Kind | None:
        """A kind by its name."""
        return next((k for k in self.all if k.name == name and modality in ("", k.modality)), None)


def leading_numbers(measures: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The descriptors of the first part that was described, by name: what a kind is judged by."""
    rows = list(measures)
    return {str(row["name"]): row["value"] for row in rows if row["part"] == rows[0]["part"]}


def load_kinds(folder: str | Path = "") -> Kinds:
    """The built-in kinds and those of a folder; one of the same name and modality takes the built-in one's place.

    Raises:
        AnomalyError: the folder or a file in it cannot be read, or a kind is not well formed.
    """
    if not folder:
        return _built_in()
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise AnomalyError(f"There is no folder of kinds at {str(path)!r} (setting `kinds`).")
    own = [kind for file in sorted(path.glob("*.y*ml")) for kind in read_kinds(file)]
    taken = {(kind.name, kind.modality) for kind in own}
    return Kinds((*own, *(kind for kind in _built_in().all if (kind.name, kind.modality) not in taken)))


def read_kinds(file: Path | Traversable) -> list[Kind]:
    """The kinds of one YAML file.

    Raises:
        AnomalyError: not YAML, or a kind is not well formed; the sentence names it.
    """
    try:
        rows = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise AnomalyError(f"The kinds in {file.name} cannot be read: {error}.") from error
    if not isinstance(rows, list):
        raise AnomalyError(f"{file.name} is not a list of kinds.")
    return [_kind(row, f"{file.name}, kind {number}") for number, row in enumerate(rows, 1)]


@cache
def _built_in() -> Kinds:
    files = sorted((resources.files("prompts") / "kinds").iterdir(), key=lambda file: file.name)
    return Kinds(tuple(kind for file in files if file.name.endswith(".yaml") for kind in read_kinds(file)))


def prototype(name: str, modality: str, examples: Sequence[Numbers], about: str = "") -> str:
    """The YAML of a kind that is judged by likeness to examples: by what all of them measured.

    The reach is the largest distance of an example to another one, at least REACH / 2.
    """
    shared = [key for key in examples[0] if all(_is_number(one.get(key)) for one in examples)]
    rows = [{key: float(one[key]) for key in shared} for one in examples]  # type: ignore[arg-type]
    apart = [min((_distance(a, b) for b in rows if b is not a), default=0.0) for a in rows]
    reach = max([REACH / 2, *(2 * one for one in apart)])
    row = {"name": name, "modality": modality, "description": about, "reach": round(reach, 4), "prototypes": rows}
    return str(yaml.safe_dump([row], sort_keys=False, allow_unicode=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _kind(row: Any, where: str) -> Kind:
    if not isinstance(row, dict) or not {"name", "modality"} <= set(row) or not set(row) <= _KEYS:
        raise AnomalyError(f"{where}: a kind has name and modality, and may have {', '.join(sorted(_KEYS))}.")
    groups = [row["conditions"]] if "conditions" in row else []
    try:
        return Kind(
            name=str(row["name"]),
            modality=str(row["modality"]),
            description=str(row.get("description", "")),
            guide=str(row.get("guide", "")),
            checks=tuple(str(one) for one in row.get("checks", ())),
            also=tuple(str(one) for one in row.get("also", ())),
            groups=tuple(_bounds(group) for group in [*groups, *row.get("any", ())]),
            prototypes=tuple({str(k): float(v) for k, v in one.items()} for one in row.get("prototypes", ())),
            reach=float(row.get("reach", REACH)),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise AnomalyError(f"{where}: {error}.") from error


def _bounds(group: Mapping[str, Mapping[str, float]]) -> dict[str, Bound]:
    if not group:
        raise ValueError("an alternative needs conditions")
    found = {str(name): Bound(**{key: float(value) for key, value in bound.items()}) for name, bound in group.items()}
    if any(bound.soft <= 0 for bound in found.values()):
        raise ValueError("`soft` must be greater than 0")
    return found


def _rise(x: float) -> float:
    """0 far below 0, a half at 0, 1 far above: -1 and 1 give 0.05 and 0.95."""
    return 1 / (1 + math.exp(-3 * min(max(x, -20.0), 20.0)))


def _distance(numbers: Numbers, prototype: Mapping[str, float]) -> float:
    """Mean absolute difference of the log-scaled descriptors of a prototype; infinite where too few were measured."""
    known = {name: float(value) for name, value in numbers.items() if isinstance(value, int | float)}
    pairs = [(known[name], value) for name, value in prototype.items() if name in known]
    if 2 * len(pairs) < len(prototype) or not pairs:
        return math.inf
    return sum(abs(_log(one) - _log(two)) for one, two in pairs) / len(pairs)


def _log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def _names(kind: Kind) -> Sequence[str]:
    return [_words(name) for name in (kind.name, *kind.also)]


def _words(text: str) -> str:
    """Lower case words without plural endings."""
    words = re.findall(r"[a-z0-9]+", text.casefold())
    return " ".join(re.sub(r"(?<=ch|sh)es$|(?<=[a-z]{3})(?<!s)s$", "", word) for word in words)
