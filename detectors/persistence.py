"""Detectors on disk: one folder with `detector.json` and `weights.safetensors`. Never pickle; whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from detectors.calibration import Calibration
from detectors.errors import AnomalyError
from detectors.method import load_learned
from detectors.presence import Reserve

if TYPE_CHECKING:
    from detectors.detector import Detector

FORMAT = 4  # 4: pictures also meet remembered cells of all places
HEAD, WEIGHTS = "detector.json", "weights.safetensors"


def versions() -> dict[str, str]:
    """Versions that a score may depend on."""
    return {name: version(name) for name in ("anomaly-assistant", "torch", "diffusers", "transformers", "numpy")}


def save(detector: Detector, folder: Path) -> None:
    """Write to a scratch folder beside, then put it in place: an interrupted save leaves no half model."""
    assert detector.method is not None
    tensors = {f"modality.{k}": v for k, v in detector.modality.state_dict().items()}
    tensors |= {f"method.{k}": v for k, v in detector.method.state_dict().items()}
    for member, calibration in detector.calibrations.items():
        tensors |= {f"calibration.{member or ''}.{k}": torch.from_numpy(v) for k, v in calibration.state().items()}
    if detector.reserve is not None:
        tensors |= {f"reserve.{k}": torch.as_tensor(v) for k, v in vars(detector.reserve).items()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise AnomalyError(f"The model cannot be written to {folder}: {error.strerror}.") from error
    try:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, scratch / WEIGHTS)
        head = {
            "format": FORMAT,
            "modality": detector.modality.name,
            "method": detector.method_class.name,
            "seed": detector.seed,
            "modality_settings": detector.modality.settings,
            "method_settings": detector.given,
            "config": detector.modality.config(),
            "levels": [[member, np.asarray(level).tolist()] for member, level in detector.levels.items()],
            "members": list(detector.members),
            "record": detector.record,
            "versions": versions(),
            "weights_sha256": _digest(scratch / WEIGHTS),
        }
        (scratch / HEAD).write_text(json.dumps(head, indent=1, ensure_ascii=False, default=_plain))
        if folder.exists():
            if any(folder.iterdir()) and not (folder / HEAD).exists():
                raise AnomalyError(f"{folder} holds other files; give a new or empty folder for the model.")
            shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    detector.record["model_hash"] = head["weights_sha256"]


def load(folder: Path, device: str) -> Detector:
    """The inverse of `save`."""
    from detectors.detector import Detector

    head = _head(folder)
    tensors = _weights(folder, head)
    settings = {**head["modality_settings"], **head["method_settings"]}
    detector = Detector(head["modality"], head["method"], seed=head["seed"], device=device, **settings)
    detector.modality.restore(head["config"])
    load_learned(detector.modality, _under(tensors, "modality."))
    detector.modality.eval()
    method = detector.method_class(detector.modality.space, **detector.given)
    method.build()
    load_learned(method, _under(tensors, "method."))
    detector.method = method.to(detector.device).eval()
    for member in (None, *head["members"]):
        arrays = {k: v.numpy() for k, v in _under(tensors, f"calibration.{member or ''}.").items()}
        detector.calibrations[member] = Calibration.from_state(arrays)
    detector.levels = {m: np.asarray(v) if isinstance(v, list) else float(v) for m, v in head["levels"]}
    kept = _under(tensors, "reserve.")
    if kept:
        detector.reserve = Reserve(kept["x"], kept["present"].numpy(), kept["order"].numpy())
    detector.record = {**head["record"], "model_hash": head["weights_sha256"]}
    return detector


def _head(folder: Path) -> dict[str, Any]:
    if not (folder / HEAD).is_file():
        raise AnomalyError(
            f"{folder} is not a model folder: it has no {HEAD}. Make one with 'anomaly fit SOURCE --out {folder}'."
        )
    try:
        head = json.loads((folder / HEAD).read_text())
    except (OSError, ValueError) as error:
        raise AnomalyError(
            f"{folder / HEAD} cannot be read ({error}); the model was cut short. Fit it again."
        ) from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        found = head.get("format") if isinstance(head, dict) else None
        raise AnomalyError(
            f"The model in {folder} has format {found}; this version reads format {FORMAT}. Fit it again."
        )
    return head


def _weights(folder: Path, head: dict[str, Any]) -> dict[str, torch.Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        raise AnomalyError(f"The model in {folder} lacks {WEIGHTS}; it was cut short. Fit it again.")
    if _digest(path) != head["weights_sha256"]:
        raise AnomalyError(f"{path} does not match its record: it was cut short or changed. Fit the model again.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise AnomalyError(f"{path} cannot be read ({error}). Fit the model again.") from error


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | set):
        return list(value)
    return str(value)
