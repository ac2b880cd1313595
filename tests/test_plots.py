"""Plots of a series: what was expected under what was observed, spikes kept, channels by guilt."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from assistant.figures.plots import SeriesView, plotly_series, series_png, thin
from assistant.keeping.windows import ranking, threshold


def view(n: int = 50, **changes) -> SeriesView:
    line = np.sin(np.arange(n))[:, None] * np.ones(2)
    told = {
        "x": np.datetime64("2024-03-02") + np.arange(n) * np.timedelta64(1, "m"),
        "channels": ("pump <b>$x_1$", "flow"),
        "observed": line,
        "expected": line * 0.9,
        "score": np.arange(n, dtype=float),
        "threshold": 10.0,
        "intervals": ((20, 30, "interval 1"),),
        "shares": (0.7, 0.2),
    }
    return SeriesView(**{**told, **changes})


def test_expected_lies_under_observed():
    names = [trace.name for trace in plotly_series(view()).data]
    assert names[:2] == ["expected", "observed"]
    assert names[-1] == "score"


def test_without_a_normal_version_only_what_was_observed_is_drawn():
    assert {trace.name for trace in plotly_series(view(expected=None)).data} == {"observed", "score"}


def test_names_of_channels_are_text():
    titles = [note.text for note in plotly_series(view()).layout.annotations]
    assert titles[0].startswith("<b>pump &lt;b&gt;$x_1$</b>")


def test_the_interval_is_shaded_on_every_row():
    shaded = [shape for shape in plotly_series(view()).layout.shapes if shape.type == "rect"]
    assert len(shaded) == 3


def test_only_the_guiltiest_channels_are_drawn():
    assert len(plotly_series(view(), channels=1).data) == 3


@pytest.mark.parametrize("expected", [None, np.zeros((50, 2))])
def test_the_report_gets_a_png(expected):
    assert series_png(view(expected=expected)).startswith(b"\x89PNG")


def test_a_series_without_time_stamps_can_be_drawn():
    plain = view(x=np.arange(50))
    assert series_png(plain).startswith(b"\x89PNG")
    assert plotly_series(plain).layout.shapes


def test_thinning_keeps_the_spike():
    signal = np.zeros(100_000)
    signal[77_777] = 5.0
    x, y = thin(np.arange(100_000), signal, 400)
    assert len(y) <= 400
    assert 77_777 in x


def test_channels_are_ranked_by_guilt():
    finding = SimpleNamespace(parts=[{"name": "c"}, {"name": "a"}])
    assert ranking(finding, ("a", "b", "c")) == [2, 0, 1]


def test_the_level_lies_between_flagged_and_other_stamps():
    stretch = SimpleNamespace(p_values=np.array([0.5, 0.2, 0.001]), scores=np.array([1.0, 3.0, 5.0]))
    assert threshold(stretch, 0.01) == 4.0
