"""What was not flagged in a run, behind the value of a feature and around the channels of an event."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from shop import open_shop

from assistant.figures import spread_svg
from assistant.spread import Spreads, band_around, spread_of, usual


def test_numbers_are_counted_in_bins_and_a_value_is_placed_among_them():
    found = spread_of(pd.Series(np.arange(1000.0)))
    assert sum(found.counts) == pytest.approx(1000, abs=12)
    assert found.words(2000.0) == "above 100.0 % of them"
    assert found.words(-1.0) == "below 100.0 % of them"
    assert found.words(None) == ""


def test_names_are_counted_and_an_unseen_one_is_said():
    found = spread_of(pd.Series(["a"] * 7 + ["b"] * 3))
    assert found.names == ("a", "b")
    assert found.words("b") == "in 3 of 10 rows"
    assert found.words("c") == "in 0 of 10 rows"


def test_the_band_follows_the_other_channels():
    rng = np.random.default_rng(0)
    load = rng.uniform(0, 10, 2000)
    normal = np.stack([load, 2 * load + rng.normal(0, 0.1, 2000)], 1)
    low, high = band_around(normal, np.array([[5.0, 99.0], [1.0, 99.0]]), [1])
    assert (low[:, 0] < [10.0, 2.0]).all()
    assert (high[:, 0] > [10.0, 2.0]).all()
    assert (high - low).max() < 1.5


def test_one_channel_alone_has_the_band_of_all_its_values():
    normal = np.linspace(0, 100, 501)[:, None]
    low, high = usual(normal, np.zeros((300, 1)), 4)
    assert low.shape == (300, 1)
    assert low[0, 0] == pytest.approx(5.0)
    assert high[0, 0] == pytest.approx(95.0)


def test_flagged_rows_are_no_part_of_what_is_usual(tmp_path, monkeypatch):
    shop = open_shop(tmp_path, monkeypatch)
    spreads = Spreads(shop.store)
    found = spreads.of_features("R3", ["amount", "fee", "gone"])
    assert set(found) == {"amount", "fee"}
    assert found["amount"].values.max() < 11  # row 5, which was flagged, has 50
    channels = spreads.of_channels("R2", ("cpu", "disk"))
    assert channels[:, 0].max() < 5
    assert spreads.of_channels("R2", ("cpu", "another")) is None


def test_runs_whose_data_are_gone_have_no_spread(tmp_path, monkeypatch):
    shop = open_shop(tmp_path, monkeypatch)
    for run, file in (("R2", "series.parquet"), ("R3", "table.parquet")):
        (shop.store.run_folder(run) / file).unlink()
    spreads = Spreads(shop.store)
    assert spreads.of_features("R3", ["amount"]) == {}
    assert spreads.around("F3", "R2", ("cpu", "disk"), np.zeros((3, 2)), 2) is None


def test_a_spread_is_drawn_with_its_marks_and_its_label_escaped():
    drawn = spread_svg((4, 0, 1), [(0.5, "seen")], '"><script>')
    assert drawn.count("<rect") == 2
    assert 'class="seen" x1="66.0"' in drawn
    assert "<script>" not in drawn
