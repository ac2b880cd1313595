"""p-values in a run's files, brought in line with a calibration: event runs keep one a stamp or frame.

`fitted_p` beside `p_values` keeps what the fit alone says, so that every revision starts from the same figures and none
is lost. Knows files and the calibration it is handed; not the database or how a revision came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.keeping import keep_json, load_json, lost, write
from assistant.specimens.specimen import EXPLANATION
from assistant.specimens.trials import FILE as TEST
from assistant.store.calibrations import AS_DETECTED

if TYPE_CHECKING:
    from assistant.store import Store

ARRAYS = ("window.npz", "clip.npz")  # of a finding, see assistant/keeping/folder.py and assistant/keeping/clips.py


def reprice_files(store: Store, runs: Sequence[str], calibration: Any) -> None:
    """Bring all files of some runs in line; tests of explanations are dropped, to be made again when asked for."""
    for run in runs:
        folder, info = store.run_folder(run), store.run(run).info
        if not folder.is_dir():
            continue
        labelled = bool((info.get(AS_DETECTED) or info).get("revision"))
        for path in [folder / "scores.npz", *(path for name in ARRAYS for path in folder.glob(f"*/{name}"))]:
            if path.is_file():
                reprice_arrays(path, calibration, labelled)
        for path in folder.glob(f"*/{EXPLANATION}"):
            kept = load_json(path)
            p = float(calibration.p_value(np.array([kept["score"]]))[0])
            keep_json(path, {**kept, "p_value": p})
        for path in folder.glob(f"*/{TEST}"):
            path.unlink()


def reprice_arrays(path: Path, calibration: Any, labelled: bool) -> None:
    """Bring `p_values` beside `scores` in line; `labelled`: whether labels counted when the file was made.

    Raises:
        AnomalyError: the file is lost or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise lost(path) from error
    scores = kept["scores"]
    own = kept.pop("fitted_p", None)
    if own is None:
        own = calibration.fitted.p_value(scores) if labelled else kept["p_values"]
    if len(own) < len(scores):  # a run that grew since
        own = np.concatenate([own, calibration.fitted.p_value(scores[len(own) :])])
    p = calibration.raised(scores, own, np.zeros(len(own), bool))[0]
    p = np.where(np.isnan(scores), kept["p_values"], p)
    kept |= {"p_values": p} | ({"fitted_p": own} if (p != own).any() else {})
    write(path, lambda file: np.savez_compressed(file, **kept))
