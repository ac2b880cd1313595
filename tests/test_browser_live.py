"""What goes on by itself, in a real browser: a stopped answer, a watched folder, results as they come, a clip."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numpy as np
from test_browser import WAIT, address, browser, page, shop, shows

from assistant.agent import Assistant, Token
from assistant.keeping.clips import Excerpt, keep_excerpt
from assistant.records import NewFinding, Run
from assistant.scoring import Seen

__all__ = ["address", "browser", "page", "shop"]  # fixtures


def test_an_answer_is_stopped_and_what_was_said_stays(page, monkeypatch):
    def endless(assistant, question, focus=None):
        yield Token("The first sentence. ")
        while True:
            time.sleep(0.05)
            yield Token("")

    with monkeypatch.context() as patch:
        patch.setattr(Assistant, "stream", endless)
        page.fill("#ask textarea", "Why is it anomalous?")
        page.keyboard.press("Enter")
        page.wait_for_selector("#talk >> text=The first sentence.")
        page.locator("#ask button.stop-button").click()
        page.wait_for_selector("#talk >> text=Stopped.")
        page.wait_for_selector("#ask button.submit-button")
    assert "The first sentence." in page.locator("#talk").inner_text()
    page.click('[data-again="retry"]')
    page.wait_for_selector("#talk .seal")
    assert page.locator("#talk .user-row").count() == 1


def models(tmp_path: Path) -> Path:
    (tmp_path / "models" / "image").mkdir(parents=True)
    return tmp_path / "models" / "image"


def begun(page, path: Path | str, model: Path, button: str) -> None:
    page.get_by_role("tab", name="Data").click()
    page.get_by_label("camera of this machine").fill(str(path))
    page.get_by_role("combobox", name="Model").fill(str(model))
    page.keyboard.press("Enter")
    page.get_by_role("button", name=button, exact=True).click()


def test_a_folder_is_watched_told_of_by_the_badge_and_let_go(page, shop, tmp_path):
    parts = Path(shop.store.run("R1").source)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    begun(page, incoming, models(tmp_path), "Watch it")
    page.wait_for_selector(".watch.watching >> text=0 judged")
    shutil.copy(parts / "part_003.png", incoming)
    page.wait_for_selector(".watch >> text=1 judged, 1 finding", timeout=WAIT)
    page.locator("#news button").click()
    page.wait_for_function("document.querySelector('.head h2')?.textContent.includes('part_003')")
    page.get_by_role("tab", name="Data").click()
    page.click(".watch [data-watch]")
    page.wait_for_selector(".watch.stopped")
    page.click(".watch [data-watch]")
    page.wait_for_selector(".watch", state="detached")


def test_what_a_batch_has_flagged_so_far_is_shown_while_it_is_scored(page, shop, monkeypatch, tmp_path):
    going = threading.Event()

    def slow(workspace, source, model, alpha, fdr, tell, show):
        show(Seen("line/part_003.png", 0.002, True))
        while not going.is_set():
            tell(0.4, "scoring")
            time.sleep(0.02)
        return workspace.store.run("R1")

    monkeypatch.setattr("assistant.chat.data.run_detection", slow)
    begun(page, shop.store.run("R1").source, models(tmp_path), "Detect")
    page.wait_for_selector(".so-far >> text=part_003.png")
    assert "1 flagged so far" in page.locator(".job").first.inner_text()
    going.set()
    page.wait_for_selector(".job.done [data-run]")
    assert page.locator(".so-far").count() == 0


def test_the_map_of_a_clip_goes_with_its_frame(page, shop):
    """A frame whose map was kept shows it; one without shows none."""
    run = Run("", "", "/clips/gate", "video", "/models/video", "default", 0.01, None, 8, 1, {"threshold": 1.0}, [])
    region = {"name": "region 1", "position": "centre", "share": 1.0, "peak": 2.0, "box": [4, 4, 9, 9], "start": 2}
    region |= {"end": 5, "frame": 3}
    new = NewFinding("frames 2 to 4", 2, 3.0, 0.001, regions=[region])
    finding = shop.store.finding(shop.store.findings(shop.store.add_run(run, [], [new]).id)[0].id)
    shutil.copytree(shop.store.findings("R1")[0].folder, finding.folder)
    maps = np.zeros((2, 3, 4), np.float16)
    maps[:, 1, 1] = 4.0
    frames = np.full((6, 24, 32), 90, np.uint8)
    scores = np.linspace(1, 4, 8)
    keep_excerpt(finding.folder, Excerpt(
        frames, 1, 3, (2, 5), frames[:0, :6, :8], np.zeros(0, int), 0, scores, np.full(8, 0.001), maps, np.array([3, 4])
    ))  # fmt: skip
    page.goto(f"{page.url.split('?')[0]}?finding={finding.id}")
    shows(page, finding.id)
    page.wait_for_function("document.querySelector('.player .now')?.textContent.startsWith('frame 3')")
    seen = "[...document.querySelectorAll('.player [data-heat]:not([hidden])')].map((one) => one.dataset.heat)"
    assert page.evaluate(seen) == ["3"]
    page.click('.player [data-go="1"]')
    assert page.evaluate(seen) == ["4"]
    page.click('.player [data-go="1"]')
    assert page.evaluate(seen) == []
