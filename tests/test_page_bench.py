"""The bench of the page: its store sorts the real findings first, its figures are told like those of other topics."""

from __future__ import annotations

import sys

import pytest
from shop import open_shop

from assistant.chat import bench as page_bench
from assistant.chat.bench import Row
from detectors.errors import AnomalyError


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


def test_rows_without_pictures_come_behind_the_real_findings(shop):
    run = shop.store.run("R1")
    page_bench.add_rows(shop.store, run, 6000)
    assert shop.store.count_findings("R1") == 6002
    assert [finding.id for finding in shop.store.findings("R1", limit=2)] == ["F1", "F2"]
    assert shop.store.run("R1").n_flagged == 6002
    assert shop.store.count_findings("R1", kind="scratch") == 1500


def test_figures_are_told_with_their_goals():
    told = page_bench.as_json([Row("first page", 812.4, 1200.0, 9, 2000.0)], 100_000)
    assert told["findings"] == 100_000
    assert "| first page | 812 | 1200 | 9 | 2000 |" in told["table"]


def test_without_playwright_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(AnomalyError, match="pip install"), page_bench._browser():
        pass


def test_without_a_browser_one_sentence_says_so(monkeypatch):
    pytest.importorskip("playwright.sync_api")
    monkeypatch.setenv("ANOMALY_TEST_BROWSER", "/no/browser")
    with pytest.raises(AnomalyError, match="No Chromium can be started"), page_bench._browser():
        pass
