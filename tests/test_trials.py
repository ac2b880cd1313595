"""An explanation under test: sufficiency, necessity, equal places elsewhere, curves; kept, and said in a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from assistant.specimens.specimen import Judgement
from assistant.specimens.trials import ELSEWHERE, places_elsewhere, trial_facts, trial_of, verdict


class Bench:
    """A 12 x 12 sample whose score is its evidence: what lies in `odd` until it is repaired."""

    def __init__(self, folder: Path, named: np.ndarray, odd: np.ndarray) -> None:
        self.finding = SimpleNamespace(folder=folder, index=3, alpha=0.01)
        self.odd, self._named, self.asked = odd, named, 0

    def level(self) -> np.ndarray:
        return 5.0 * self.odd

    def near(self) -> np.ndarray:
        return np.ones_like(self.odd)

    def first_named(self) -> list[np.ndarray]:
        return [self._named]

    def trials(self, masks: Sequence[np.ndarray]) -> list[Judgement]:
        self.asked += len(masks)
        left = [float((self.odd & ~mask).sum()) for mask in masks]
        return [Judgement(one, 0.5 if one < 2 else 1e-4) for one in left]


def square(row: int, column: int, side: int = 3) -> np.ndarray:
    mask = np.zeros((12, 12), bool)
    mask[row : row + side, column : column + side] = True
    return mask


def tried(folder: Path, named: np.ndarray, odd: np.ndarray) -> Any:
    return trial_of(Bench(folder, named, odd))  # type: ignore[arg-type]


def test_a_right_explanation_is_sufficient_and_necessary_and_others_are_not(tmp_path: Path) -> None:
    found = tried(tmp_path, square(4, 4), square(4, 4))
    told = trial_facts(found, 0.01)
    assert told["sufficient"] == (True, "")
    assert told["necessary"] == (True, "")
    assert (found.random_returns, found.random_count) == (0, ELSEWHERE)
    assert found.deletion < 0.5 < found.insertion
    assert verdict(found, 0.01) == "borne out"


def test_a_wrong_explanation_is_found_out(tmp_path: Path) -> None:
    found = tried(tmp_path, square(0, 8), square(4, 4))
    told = trial_facts(found, 0.01)
    assert told["sufficient"] == (False, "")
    assert told["necessary"] == (False, "")
    assert verdict(found, 0.01) == "not borne out"


def test_where_any_place_would_do_the_explanation_is_not_borne_out(tmp_path: Path) -> None:
    found = tried(tmp_path, square(4, 4), square(4, 4))
    assert verdict(replace(found, random_returns=6), 0.01) == "not borne out"


def test_a_test_is_made_once_and_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, square(4, 4), square(4, 4))
    first = trial_of(bench)  # type: ignore[arg-type]
    asked = bench.asked
    assert trial_of(bench) == first  # type: ignore[arg-type]
    assert bench.asked == asked


def test_places_elsewhere_have_the_same_size_and_touch_neither_the_place_nor_what_must_stay() -> None:
    named, near = square(2, 2), np.ones((12, 12), bool)
    near[:, 10:] = False
    found = places_elsewhere(named, near, np.random.default_rng(0))
    assert found
    assert all(mask.sum() == 9 and not (mask & named).any() and not (mask & ~near).any() for mask in found)
    assert places_elsewhere(np.ones((3, 3), bool), np.ones((3, 3), bool), np.random.default_rng(0)) == []
