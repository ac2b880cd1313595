"""Finds methods and modalities by scanning their folders: a new one is one new file, no list to edit."""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from detectors.method import Method
    from detectors.modalities.base import Modality

T = TypeVar("T")
TAXONOMY = ("reconstruction", "density", "hybrid")  # the survey's taxonomy is the folder tree


@cache
def methods() -> dict[str, type[Method]]:
    """Every method by name."""
    from detectors.method import Method

    found = {}
    for folder in TAXONOMY:
        for cls in _classes(f"detectors.{folder}", Method):
            cls.taxonomy = folder
            found[cls.name] = cls
    return dict(sorted(found.items()))


@cache
def modalities() -> dict[str, type[Modality]]:
    """Every modality by name."""
    from detectors.modalities.base import Modality

    return {cls.name: cls for cls in _classes("detectors.modalities", Modality)}  # type: ignore[type-abstract]


def method_class(name: str, modality: str) -> type[Method]:
    """The method called `name`. Raises AnomalyError where it is unknown or does not know the modality."""
    known = list_methods(modality)
    if name not in methods():
        raise AnomalyError(f"method={name!r} is unknown; for {modality} there are: {', '.join(known)}.")
    if name not in known:
        raise AnomalyError(f"method={name!r} does not work on {modality}; choose one of: {', '.join(known)}.")
    return methods()[name]


def modality_class(name: str) -> type[Modality]:
    """The modality called `name`. Raises AnomalyError where it is unknown."""
    if name not in modalities():
        raise AnomalyError(f"modality={name!r} is unknown; known: {', '.join(sorted(modalities()))}.")
    return modalities()[name]


def list_methods(modality: str | None = None) -> list[str]:
    """Names of all methods, or of those that work on one modality."""
    if modality is None:
        return list(methods())
    modality_class(modality)
    return [name for name, cls in methods().items() if modality in cls.modalities]


def _classes(package: str, base: type[T]) -> list[type[T]]:
    found: list[type[T]] = []
    for info in pkgutil.iter_modules(import_module(package).__path__):
        module = import_module(f"{package}.{info.name}")
        for cls in vars(module).values():
            own = inspect.isclass(cls) and issubclass(cls, base) and cls.__module__ == module.__name__
            if own and cls.__dict__.get("name"):
                found.append(cls)
    return found
