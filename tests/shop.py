"""A small store that was really detected in, by the fake detector: images, a series and a table with known anomalies.

R1 image    ten pictures, grey 128; part_003 and part_007 carry a bright square at left 4, top 6, 8 x 5 px;
            part_007 a second one; small.png has another size and is left out; broken.png cannot be read
R2 series   channels cpu and disk, one row a minute; cpu is 9 instead of 1 in rows 60 to 63, disk in row 90
R3 table    amount and fee; row 5 has amount 50 instead of 10, row 9 a fee of 7 instead of 2
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import SHAPE, FakeDetector
from PIL import Image

from assistant import pipeline
from assistant.config import Config
from assistant.pipeline import Workspace, run_detection
from assistant.store import Store


def picture(*squares: tuple[int, int]) -> np.ndarray:
    """Grey with bright squares at (left, top), and a little texture so that it is no mask."""
    grey = np.full(SHAPE, 128, np.uint8)
    grey[::2, ::2] = 130
    for left, top in squares:
        grey[top : top + 5, left : left + 8] = 250
    return grey


def make_sources(folder: Path) -> dict[str, Path]:
    """The three sources on disk."""
    parts = folder / "parts"
    parts.mkdir(parents=True)
    for i in range(10):
        squares = {3: [(4, 6)], 7: [(4, 6), (20, 15)]}.get(i, [])
        Image.fromarray(picture(*squares)).save(parts / f"part_{i:03d}.png")
    Image.fromarray(picture()[:9, :9]).save(parts / "small.png")
    (parts / "broken.png").write_bytes(b"no picture")
    series = pd.DataFrame({"cpu": 1.0, "disk": 2.0}, index=pd.date_range("2024-03-02", periods=120, freq="min"))
    wobble = 0.1 * np.sin(np.arange(120))
    series = series.add(wobble, axis=0)
    series.iloc[60:64, 0] = 9.0
    series.iloc[90, 1] = 9.0
    series.to_csv(folder / "machine.csv", index_label="time")
    table = pd.DataFrame({"amount": 10.0 + np.arange(40) % 3 / 5, "fee": 2.0 + np.arange(40) % 7 / 10})
    table.loc[5, "amount"] = 50.0
    table.loc[9, "fee"] = 7.0
    table.to_csv(folder / "payments.csv", index=False)
    return {"image": parts, "series": folder / "machine.csv", "table": folder / "payments.csv"}


def fake_load(sources: dict[str, Path]):
    """What stands in for `pipeline.load`: the model's folder is named after its modality."""

    def load(model: str | Path, device: str = "auto") -> FakeDetector:
        modality = Path(model).name
        if modality == "image":
            return FakeDetector("image", [])
        frame = pd.read_csv(sources[modality], index_col=0 if modality == "series" else None)
        return FakeDetector(modality, frame)

    return load


def open_shop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A fresh store with the three runs; made once a process, then copied."""
    sources = make_sources_once()
    monkeypatch.setattr(pipeline, "load", fake_load(sources))
    shutil.copytree(_filled_store(), home / "store")
    return Workspace(Store.open(home / "store"), Config(store=str(home / "store"), pictures=1))


@cache
def make_sources_once() -> dict[str, Path]:
    """The sources, made once a process."""
    return make_sources(_scratch() / "data")


@cache
def _filled_store() -> Path:
    store = Store.open(_scratch() / "store")
    workspace = Workspace(store, Config(pictures=1))
    for modality, source in make_sources_once().items():
        run_detection(workspace, source, f"/models/{modality}")
    store.close()
    return store.root


@cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="anomaly-shop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
