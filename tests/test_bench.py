"""The bench: topics are found, methods can be chosen, accuracy and cost are told in common columns, and drawn."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from detectors import AnomalyError, make_detector
from detectors.bench import run_bench, topics
from detectors.bench.figure import draw
from detectors.bench.meter import Calls, Memory, Metered, parse_method
from detectors.bench.summary import costs_table, summarised


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """One tiny table in the form of the public ones."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((240, 4))
    y = np.zeros(240, int)
    y[200:] = 1
    x[200:] += 4
    root = tmp_path_factory.mktemp("sets")
    (root / "tab_adbench").mkdir()
    np.savez(root / "tab_adbench" / "0_tiny.npz", X=x, y=y)
    return root


def test_topics_are_found_by_scanning():
    assert {"tables", "series", "images", "video", "cost"} <= set(topics())
    assert not {"meter", "summary", "figure", "fusion"} & set(topics())


def test_chosen_methods_are_measured_with_their_cost_and_drawn(sets, tmp_path):
    out, figure = tmp_path / "figures.json", tmp_path / "cost.png"
    names = ["diffusion_time", "smoothed_density:kernel"]
    result = run_bench(["tables"], data=sets, out=out, methods=names, figure=figure)
    entries = {entry["method"]: entry for entry in result["tables"]["costs"]}
    assert {*names, "5-NN"} <= set(entries)
    told = entries["smoothed_density:kernel"]
    assert told["figures"]["auroc"]["mean"] > 0.95
    assert told["calls"] == 0
    assert told["fit_seconds"] > 0
    assert told["ms_per_sample"] > 0
    assert told["peak_mb"] >= 0
    assert json.loads(out.read_text())["tables"]["costs"] == result["tables"]["costs"]
    assert figure.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": ["smells"]}, "known: "),
        ({"what": ["tables"], "methods": ["likelihood"]}, "'likelihood' cannot be measured on tables"),
        ({"what": ["tables"], "data": "/nowhere"}, "--data"),
    ],
)
def test_what_cannot_be_measured_is_told(sets, arguments, message):
    with pytest.raises(AnomalyError, match=message):
        run_bench(**{"data": sets, **arguments})


def test_network_calls_are_counted_not_believed():
    rows = np.random.default_rng(1).standard_normal((80, 3))
    metered = Metered("table", "multi_start", rows, seed=0, width=16, depth=1, train_steps=5, times=(100, 500))
    scores, cost = metered.score(rows[:50])
    assert len(scores) == 50
    assert cost.calls == 2
    with Calls(make_detector("table", "smoothed_density").fit(rows).method) as calls:
        pass
    assert not calls.networks


def test_the_peak_of_memory_is_seen():
    with Memory() as memory:
        held = torch.ones(16 * 2**20)  # 64 MB
        nn.functional.relu(held)
    assert memory.used > 50


def test_forms_are_named_after_a_colon():
    assert parse_method("score_matching:multiscale") == ("score_matching", {"form": "multiscale"})
    assert parse_method("DTE-C", {"DTE-C": ("diffusion_time", {"form": "categorical"})})[1] == {"form": "categorical"}


def test_the_spread_is_over_seeds_and_not_over_sets():
    rows = [
        {"name": name, "method": "m", "seed": seed, "auroc": value, "cost": {"calls": 5.0, "peak_mb": 10.0 * seed}}
        for name, seed, value in (("a", 0, 0.9), ("b", 0, 0.5), ("a", 1, 0.9), ("b", 1, 0.7))
    ]
    (entry,) = summarised(rows)
    assert entry["figures"]["auroc"] == pytest.approx({"mean": 0.75, "spread": 0.05})
    assert (entry["calls"], entry["peak_mb"], entry["fit_seconds"]) == (5.0, 10.0, None)
    assert "| m | 0.750 ± 0.050 |" in costs_table([entry])


def test_nested_figures_are_told_as_well():
    (entry,) = summarised([{"dataset": "a", "method": "m", "seed": 0, "figures": {"auroc": 0.8}, "fit_seconds": 2.0}])
    assert entry["figures"]["auroc"]["mean"] == 0.8
    assert entry["fit_seconds"] == 2.0


def test_a_picture_needs_a_known_kind_and_something_to_draw(tmp_path):
    with pytest.raises(AnomalyError, match=r"\.png"):
        draw({}, tmp_path / "figure.txt")
    with pytest.raises(AnomalyError, match="nothing to draw"):
        draw({"tables": []}, tmp_path / "figure.png")
