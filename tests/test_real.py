"""The suite of real causes: sets are chosen by name and told as they end; models serve again where nothing changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from assistant.evals import CASES, real, run_suites
from assistant.evals.real_logs import as_rows
from assistant.evals.table import Job, Line
from detectors.errors import AnomalyError


def test_an_unknown_set_is_said_with_those_that_are_known(tmp_path):
    with pytest.raises(AnomalyError, match=r"no set 'moon' of real causes; known: asd, smd, transistor"):
        run_suites(["real"], Job(CASES, data=tmp_path, sets=("moon",)))


def test_each_set_is_told_as_it_ends(tmp_path, monkeypatch):
    said: list[str] = []

    def measured(name, job):
        said.append(f"begin {name}")
        yield Line(name, "right", 3, 4)

    monkeypatch.setattr("assistant.evals.real_series.channels", measured)
    run_suites(["real"], Job(CASES, data=tmp_path, sets=("asd", "smd"), say=said.append))
    begun = [i for i, text in enumerate(said) if text.startswith("begin")]
    assert begun[1] > begun[0] + 1
    assert "3 of 4" in said[1]


def test_a_model_serves_again_only_for_the_same_data_and_settings():
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    stamp = real._stamp({"seed": 1}, frame)
    assert stamp == real._stamp({"seed": 1}, frame.copy())
    assert len({stamp, real._stamp({"seed": 2}, frame), real._stamp({"seed": 1}, frame + 1)}) == 3


def test_a_sample_is_spread_evenly_and_holds_both_ends():
    assert real.some(list(range(100)), 5) == [0, 25, 50, 74, 99]
    assert real.some([1, 2], 5) == [1, 2]


def test_log_lines_are_rows_of_what_can_be_counted():
    raw = pd.DataFrame(
        {"Type": ["RAS"], "Component": ["KERNEL"], "Level": ["INFO"], "EventId": ["E7"], "Content": ["12 x 3"]}
    )
    row = as_rows(raw).iloc[0]
    assert (row["length"], row["numbers"], row["template"]) == (6.0, 2.0, "E7")
    assert np.isfinite(row["length"])
