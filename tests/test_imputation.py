"""Imputation and trend on series, and the exact filling of holes that repairs rest on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors import AnomalyError, make_detector
from detectors.denoiser import denoiser_settings, make_denoiser
from detectors.method import Space
from detectors.registry import methods
from detectors.training import Run


@pytest.fixture(scope="module")
def waves() -> np.ndarray:
    """Three channels of one rhythm (900 stamps), the third the sum of the others."""
    rng = np.random.default_rng(0)
    time = np.arange(900)
    first, second = np.sin(time / 6), np.cos(time / 9)
    x = np.stack([first, second, first + second], 1) + 0.05 * rng.standard_normal((900, 3))
    return x.astype(np.float32)


def fitted(name: str, waves: np.ndarray, **settings):
    return make_detector("series", name, denoiser="gaussian", window=16, horizon=0, **settings).fit(waves[:600])


def method(name: str, channels: int = 2, window: int = 16, **settings):
    made = methods()[name](Space("series", (channels, window)), denoiser="gaussian", **settings)
    x = torch.randn(400, channels, window, generator=torch.Generator().manual_seed(0)).cumsum(2)
    made.fit(x, Run())
    made.calibrate(x)
    return made, x


def test_a_hidden_cell_has_no_say_in_its_own_estimate() -> None:
    made, x = method("imputation")
    other = x.clone()
    hidden = made._grating("time", x.device).expand_as(x)
    other[hidden] += 9
    one, two = (made.imputed(v, hidden, made.settings["steps"])[-1] for v in (x, other))
    assert torch.allclose(one, two)


def test_the_two_halves_of_a_grating_judge_every_cell_once() -> None:
    made, x = method("imputation", gratings="time,channel")
    assert made.gratings == ("time", "channel")
    for name in made.gratings:
        hidden = made._grating(name, x.device)
        assert 0.4 <= hidden.float().mean() <= 0.6
    assert made.distances(x[:5]).shape == (2, made.settings["judged"], 5, 2, 16)


def test_one_channel_alone_is_imputed_from_its_own_past_and_future() -> None:
    made, x = method("imputation", channels=1, gratings="channel")
    assert made.gratings == ("time",)
    assert torch.isfinite(made.maps(x[:3])).all()


def test_imputation_finds_a_channel_that_no_longer_follows_the_others(waves) -> None:
    detector, new = fitted("imputation", waves), waves[600:].copy()
    new[150:170, 2] = -new[150:170, 2]
    found = detector.detect(new, alpha=0.01)
    assert found
    assert any(d.regions[0].start < 170 and d.regions[0].end > 150 for d in found)
    assert 145 <= int(np.argmax(detector.decision_function(new))) < 175


def test_the_trend_method_does_not_see_a_level_that_wanders() -> None:
    made, x = method("trend")
    ramp = torch.linspace(0, 5, 16)
    assert torch.allclose(made.maps(x[:8]), made.maps(x[:8] + 3 + ramp), atol=1e-2)
    assert not torch.allclose(made.maps(x[:8]), made.maps(x[:8] + torch.sin(2 * ramp)), atol=1e-1)


def test_slow_drift_is_no_evidence_for_trend_but_is_for_multi_start(waves) -> None:
    drift = waves[600:] + np.linspace(0, 2, 300, dtype=np.float32)[:, None] * np.array([1, 0, 0], np.float32)
    flagged = {}
    for name in ("trend", "multi_start"):
        flagged[name] = (fitted(name, waves).p_value(drift) <= 0.01).mean()
    assert flagged["trend"] < 0.05
    assert flagged["multi_start"] > 0.5


def test_a_hole_is_filled_on_the_trend_around_it() -> None:
    made, x = method("trend")
    where = torch.zeros_like(x[:4], dtype=torch.bool)
    where[:, 0, 5:9] = True
    spoiled = torch.where(where, torch.tensor(40.0), x[:4] + 100)
    filled = made.normal(spoiled, where)
    assert torch.equal(filled[~where], spoiled[~where])
    assert (filled[where] - (x[:4] + 100)[where]).abs().mean() < 3


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("imputation", {"gratings": "rows"}, "known: time, channel"),
        ("imputation", {"judged": 0}, "between 1 and the number of steps"),
        ("imputation", {"block": 40}, "block=40 must lie between"),
        ("trend", {"degree": 30}, "degree=30 must lie between"),
    ],
)
def test_unusable_settings_are_refused(name, settings, said) -> None:
    with pytest.raises(AnomalyError, match=said):
        methods()[name](Space("series", (2, 16)), **settings)


def test_a_gaussian_fills_holes_with_the_conditional_mean() -> None:
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    x = (torch.randn(4000, 12, generator=generator, dtype=torch.float64) @ mixing).float().view(-1, 2, 6)
    denoiser = make_denoiser(Space("series", (2, 6)), {**denoiser_settings("series"), "denoiser": "gaussian"})
    denoiser.fit(x, Run())
    hole = torch.zeros(2, 6, dtype=torch.bool)
    hole[1, 2:5] = True
    filled = denoiser.inpaint(torch.where(hole, torch.tensor(50.0), x[:3]), hole, seed=0).flatten(1)
    cov = (denoiser.vectors[0] * denoiser.values[0]) @ denoiser.vectors[0].T
    mean, h, known = denoiser.mean[0, 0], hole.flatten(), x[:3].flatten(1)
    told = cov[h][:, ~h] @ torch.linalg.solve(cov[~h][:, ~h], (known - mean)[:, ~h].T)
    assert torch.allclose(filled[:, h], mean[h] + told.T, atol=1e-3)
    assert torch.equal(filled[:, ~h], known[:, ~h])


def test_the_bench_measures_chosen_methods_with_their_speed_and_spread(tmp_path, waves) -> None:
    from detectors.bench import run_bench
    from detectors.bench.series import measure

    folder = tmp_path / "ts_asd"
    folder.mkdir()
    test, labels = waves[600:].copy(), np.zeros(300, int)
    test[150:170, 2] *= -1
    labels[150:170] = 1
    np.savez(folder / "one.npz", train=waves[:600], test=test, test_label=labels, interpretation="150-170:3")
    rows = measure(tmp_path, ["asd"], methods=("imputation-gaussian", "trend-gaussian"), baselines=(), seeds=(0, 1))
    assert [row.method for row in rows] == ["imputation-gaussian", "trend-gaussian"] * 2
    assert all(row.cells_per_second > 0 and row.cost.fit_seconds > 0 and 0 < row.vus_pr <= 1 for row in rows)
    with pytest.raises(AnomalyError, match="trend-gaussian"):
        run_bench(["series"], data=tmp_path, methods=["no-such-method"])
