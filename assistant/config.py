"""Settings: defaults < anomaly.toml < environment ANOMALY_* < flags. Knows names, types and bounds; not what they do.

Secrets are no settings: the key of a language model is read from the environment when it is used, and never kept.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from detectors.errors import AnomalyError

FILE = "anomaly.toml"
PREFIX = "ANOMALY_"
SECRETS = ("api_key", "token", "password", "secret")
NOT_SETTINGS = {"API_KEY", "CONFIG", "DEBUG"}  # ANOMALY_* with another meaning


@dataclass(frozen=True)
class Config:
    """All settings with their defaults."""

    store: str = "./anomaly-store"  # a folder, or any SQLAlchemy URL
    files: str = ""  # folder for maps and pictures of a store that is not SQLite
    llm: str = "narrator"  # "narrator", "local:PATH", "provider:name"
    base_url: str = ""  # of an OpenAI-compatible server
    temperature: float = 0.0
    timeout: float = 60.0  # seconds for one reply of the language model
    max_tokens: int = 1024
    max_steps: int = 8  # tool rounds for one answer
    host: str = "127.0.0.1"
    port: int = 7860
    alpha: float = 0.01
    device: str = "auto"
    user: str = ""  # who makes changes, for the audit log; this machine's user where nothing is set
    kinds: str = ""  # folder of own kinds of anomaly, see prompts/kinds
    pictures: int = 50  # findings whose pictures and normal versions are made at once, the most anomalous first

    @property
    def api_key(self) -> str | None:
        """The language model's key, from ANOMALY_API_KEY; providers' own variables are read by their libraries."""
        return os.environ.get(f"{PREFIX}API_KEY") or None


def load_config(file: str | Path | None = None, **flags: Any) -> Config:
    """Put the layers together.

    Args:
        file: a TOML file; ./anomaly.toml where None and there is one.
        flags: settings given on the command line; None means not given.

    Raises:
        AnomalyError: the file is missing or not TOML, a setting is unknown or of the wrong kind, or a secret is in it.
    """
    file = file or os.environ.get(f"{PREFIX}CONFIG")
    path = Path(file) if file else Path(FILE)
    layers = [(str(path), _read(path))] if file or path.is_file() else []
    layers.append(("the environment", _environment()))
    layers.append(("the command line", {name: value for name, value in flags.items() if value is not None}))
    config = Config()
    for where, layer in layers:
        config = replace(config, **{name: _typed(name, value, where) for name, value in layer.items()})
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AnomalyError(f"There is no configuration file {str(path)!r}.") from error
    except (OSError, ValueError) as error:
        raise AnomalyError(f"The configuration file {str(path)!r} cannot be read: {error}.") from error


def _environment() -> dict[str, str]:
    found = {name.removeprefix(PREFIX): value for name, value in os.environ.items() if name.startswith(PREFIX)}
    known = {field.name.upper() for field in fields(Config)}
    return {name.lower(): value for name, value in found.items() if name in known and name not in NOT_SETTINGS}


def _typed(name: str, value: Any, where: str) -> Any:
    kinds: Mapping[str, type] = {field.name: type(field.default) for field in fields(Config)}
    if any(secret in name.lower() for secret in SECRETS) and name not in kinds:
        raise AnomalyError(f"{name!r} is a secret and does not belong in {where}; set {PREFIX}API_KEY instead.")
    if name not in kinds:
        raise AnomalyError(f"The setting {name!r} in {where} is unknown; known: {', '.join(kinds)}.")
    kind = kinds[name]
    whole = kind is not int or not isinstance(value, float)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not whole:
        raise AnomalyError(f"The setting {name!r} in {where} must be a {_words(kind)}, not {value!r}.")
    try:
        typed = kind(value)
    except ValueError as error:
        raise AnomalyError(f"The setting {name!r} in {where} must be a {_words(kind)}, not {value!r}.") from error
    return _bounded(name, typed, where)


def _bounded(name: str, value: Any, where: str) -> Any:
    bounds = {"alpha": (0, 1), "port": (0, 65535), "max_steps": (1, 100), "temperature": (0, 2), "pictures": (0, 10**9)}
    low, high = bounds.get(name, (None, None))
    if low is not None and high is not None and not low <= value <= high:
        raise AnomalyError(f"The setting {name!r} in {where} must lie between {low} and {high}, not {value}.")
    if name in ("timeout", "max_tokens") and value <= 0:
        raise AnomalyError(f"The setting {name!r} in {where} must be greater than 0, not {value}.")
    return value


def _words(kind: type) -> str:
    return {str: "text", int: "whole number", float: "number"}[kind]
