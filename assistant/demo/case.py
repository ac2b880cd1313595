"""Writes the built-in case to a folder: parts, a pump's sensors and orders, each as normal data and as a test set.

    parts/normal/*.jpg  parts/test/*.jpg  pump/normal.csv  pump/test.csv  orders/normal.csv  orders/test.csv
    truth/truth.json  truth/masks/*.png     what was planted where; for tests and evaluation, detectors never see it

The same seed gives the same case. Knows files and what is planted; nothing of detectors or stores.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assistant.demo import machine, orders
from assistant.demo.parts import Defect, draw_part

Progress = Callable[[float, str], None]  # progress(fraction 0..1, what is being done)

N_PARTS = 120  # normal photographs
N_ORDERS, N_TEST_ORDERS = 4000, 300
DAYS = 5
FIRST_DAY, TEST_DAY = "2024-03-04", "2024-03-11"  # Mondays

# the test parts in the order of their numbers; an empty list is a good part
TEST_PARTS: tuple[tuple[Defect, ...], ...] = (
    (),
    (),
    (Defect("scratch", (20, -24), 62, angle=0.5),),
    (),
    (Defect("stain", (42, 26), 15, tone="rust"),),
    (),
    (Defect("missing hole", which=1),),
    (),
    (Defect("broken corner", which=3, size=22),),
    (Defect("stain", (-42, -22), 13, tone="oil"),),
    (),
    (Defect("scratch", (-50, 6), 48, angle=1.2),),
    (),
    (Defect("broken corner", which=0, size=25),),
    (),
    (Defect("missing hole", which=2),),
    (Defect("scratch", (47, -8), 52, angle=1.9),),
    (),
    (Defect("stain", (-44, 24), 12, tone="rust"),),
    (),
    (Defect("scratch", (-46, 12), 50, angle=-0.9), Defect("stain", (48, -18), 8, tone="oil")),
    (),
    (Defect("broken corner", which=1, size=20),),
    (Defect("missing hole", which=0),),
)


def make_case(folder: str | Path, seed: int = 0, progress: Progress | None = None) -> Path:
    """The case in `folder`, made whole or not at all; a folder that is there already is left as it is."""
    folder = Path(folder)
    if folder.is_dir():
        return folder
    tell = progress or (lambda fraction, message: None)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # what an interrupted run left behind
    partial.mkdir(parents=True)
    truth = {
        "seed": seed,
        "parts": _write_parts(partial, seed, lambda done, text: tell(0.9 * done, text)),
        "pump": _write_pump(partial, seed),
        "orders": _write_orders(partial, seed),
    }
    (partial / "truth" / "truth.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
    os.replace(partial, folder)
    tell(1.0, "the case is ready")
    return folder


def _write_parts(folder: Path, seed: int, tell: Progress) -> list[dict[str, Any]]:
    normal, test, masks = folder / "parts" / "normal", folder / "parts" / "test", folder / "truth" / "masks"
    for path in (normal, test, masks):
        path.mkdir(parents=True)
    total = N_PARTS + len(TEST_PARTS)
    for i in range(N_PARTS):
        picture, _ = draw_part([seed, 1, i])
        _save(picture, normal / f"part_{i + 1:03d}.jpg")
        tell(i / total, "photographing good parts")
    truth = []
    for i, defects in enumerate(TEST_PARTS):
        name = f"part_{201 + i}.jpg"
        picture, found = draw_part([seed, 0, i], defects)
        _save(picture, test / name)
        truth.append({"sample": name, "index": i, "defects": _record(folder, name, defects, found)})
        tell((N_PARTS + i) / total, "photographing parts to inspect")
    return truth


def _record(folder: Path, name: str, defects: tuple[Defect, ...], found: dict[int, np.ndarray]) -> list[dict[str, Any]]:
    """Each defect's kind, box and mask file."""
    out = []
    for number, defect in enumerate(defects):
        mask = found[number]
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        path = f"truth/masks/{Path(name).stem}_{number}.png"
        Image.fromarray(mask).save(folder / path)
        box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
        out.append({"kind": defect.kind, "box": box, "area": int(mask.sum()), "mask": path})
    return out


def _write_pump(folder: Path, seed: int) -> list[dict[str, Any]]:
    (folder / "pump").mkdir()
    machine.simulate(seed, FIRST_DAY, DAYS).round(3).to_csv(folder / "pump" / "normal.csv")
    run = machine.plant(machine.simulate(seed + 1, TEST_DAY, 2), seed)
    run.to_csv(folder / "pump" / "test.csv")
    return [fault.to_dict(run.index) for fault in machine.FAULTS]


def _write_orders(folder: Path, seed: int) -> list[dict[str, Any]]:
    (folder / "orders").mkdir()
    orders.make_orders(seed, N_ORDERS).to_csv(folder / "orders" / "normal.csv", index=False)
    test, broken = orders.plant(orders.make_orders(seed, N_TEST_ORDERS, first=20001), seed)
    test.to_csv(folder / "orders" / "test.csv", index=False)
    return [mistake.to_dict(str(test.loc[mistake.row, "order_id"])) for mistake in broken]


def _save(picture: np.ndarray, path: Path) -> None:
    Image.fromarray(picture).save(path, quality=95, subsampling=0)
