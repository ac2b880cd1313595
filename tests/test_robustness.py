"""Self-test, drift, adaptation, stability and contaminated normals: a detector that knows what it does not know."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from detectors import AnomalyError, load_detector, make_detector
from detectors.denoiser import Denoiser
from detectors.method import Method, Space
from detectors.selftest import self_test

SMALL = {"width": 32, "depth": 1, "train_steps": 150}


@pytest.fixture(scope="module")
def fitted(tiny_rows):
    return make_detector("table", seed=1, device="cpu", **SMALL).fit(tiny_rows, test=True)


@pytest.fixture(scope="module")
def tiny_rows():
    return rows(400, 0)


def rows(count: int, seed: int, offset: float = 0.0) -> pd.DataFrame:
    """Four columns that hang together."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, count))
    noise = 0.1 * rng.normal(size=(2, count))
    return pd.DataFrame({"a": a + offset, "b": b, "sum": a + b + noise[0], "gap": a - b + noise[1]})


# --- self-test ---
def test_a_fit_tells_what_became_of_planted_anomalies_and_keeps_it(fitted, tmp_path):
    told = fitted.info()["self_test"]
    assert {k["kind"] for k in told["kinds"]} == {"swapped", "shifted", "unrelated"}
    assert told["found"] > 0.6
    assert not told["copies"]
    assert "Planted anomalies" in told["sentence"]
    fitted.save(tmp_path / "model")
    assert load_detector(tmp_path / "model", device="cpu").info()["self_test"] == json.loads(json.dumps(told))


def test_fresh_normals_can_be_used_for_the_self_test(fitted):
    fresh = fitted.self_test(rows(150, 7), alpha=0.1)
    assert fresh.alpha == 0.1
    assert fresh.found > 0.6
    assert all(0.5 < k.auroc <= 1 for k in fresh.kinds)
    assert fresh == fitted.self_test(rows(150, 7), alpha=0.1)


class _Copier(Denoiser):
    def one_step(self, x, t):
        return x


class _Blind(Method):
    """Gives everything back and sees nothing."""

    name = "blind"

    def __init__(self, space):
        super().__init__(space)
        self.denoiser = _Copier(space, None)

    def maps(self, x):
        return (x - self.denoiser.one_step(x, 0)) ** 2


def test_a_model_that_copies_its_input_is_called_so():
    x = torch.randn(100, 3, 16, generator=torch.Generator().manual_seed(0))
    told = self_test(_Blind(Space("series", (3, 16))), x)
    assert told.copies
    assert told.found == 0
    assert all(k.given_back == pytest.approx(1) for k in told.kinds)
    assert "copies its input" in told.sentence


# --- drift and adaptation ---
def test_drift_is_told_with_every_assessment_and_mended_by_adapting():
    detector = make_detector("table", "multi_start", seed=1, device="cpu", denoiser="gaussian").fit(rows(400, 0))
    moved = rows(300, 3).assign(gap=lambda f: f["gap"] + 0.5)
    assert not detector.assess(rows(300, 4)).drift.drifting
    state = detector.assess(moved).drift
    assert state == detector.drift(moved)
    assert state.drifting
    assert state.direction == "higher"
    before = (detector.p_value(moved) <= 0.05).mean()
    detector.adapt(rows(200, 5).assign(gap=lambda f: f["gap"] + 0.5))
    assert not detector.drift(moved).drifting
    assert (detector.p_value(moved) <= 0.05).mean() < min(0.12, before)
    assert detector.info()["adapted"]
    with pytest.raises(AnomalyError, match="too few"):
        detector.adapt(rows(3, 5))


# --- stability ---
def test_a_detection_says_how_many_members_agree(fitted):
    odd = rows(20, 9)
    odd.loc[3, ["a", "b", "sum", "gap"]] = [9.0, -9.0, 9.0, -9.0]
    (found,) = [d for d in fitted.detect(odd, alpha=0.01) if d.index == 3]
    assert found.stability.over == "members"
    assert found.stability.of == len(fitted.members)
    assert found.stability.agree == found.stability.of
    (strict,) = fitted.detect(odd.iloc[[3]], alpha=0.01)  # alone in its batch: the bar is alpha, not its own p-value
    assert strict.stability == found.stability
    assert found.to_dict()["stability"] == {"agree": 5, "of": 5, "over": "members"}


def test_a_single_method_judges_perturbed_copies():
    detector = make_detector("table", "multi_start", seed=1, device="cpu", denoiser="gaussian").fit(rows(400, 0))
    odd = rows(60, 9)
    odd.loc[3, "sum"] = 8.0
    found = detector.detect(odd, alpha=0.2)
    clear = next(d for d in found if d.index == 3)
    assert clear.stability.over == "perturbed copies"
    assert clear.stability.share == 1.0
    assert min(d.stability.share for d in found) < 1.0  # some of the normals at the edge are there by a hair's breadth


# --- contaminated normals ---
def test_told_of_contamination_a_fit_is_less_misled_by_it():
    rng = np.random.default_rng(0)
    odd = rows(40, 1).assign(sum=lambda f: f["sum"] + rng.choice([-3, 3], 40))
    mixed = pd.concat([rows(360, 0), odd], ignore_index=True)
    test = rows(60, 5).assign(sum=lambda f: f["sum"] + 3)
    told, untold = (
        make_detector("table", "multi_start", seed=1, **SMALL).fit(mixed, contamination=share) for share in (0.1, 0.0)
    )
    assert (told.p_value(test) <= 0.05).mean() > (untold.p_value(test) <= 0.05).mean() + 0.2
