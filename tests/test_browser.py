"""The page in a real browser: headless Chromium through Playwright. tests/test_chat.py tests the handlers alone.

Skipped, with the reason, where no Chromium or no Playwright is there; ANOMALY_TEST_BROWSER names another browser.
"""

from __future__ import annotations

import os
import shutil
import socket
import time

import pytest
from shop import open_shop

BROWSER = os.environ.get("ANOMALY_TEST_BROWSER") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 30_000  # milliseconds; machines are shared

if not BROWSER:
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (pip install -e .[dev])")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield open_shop(tmp_path_factory.mktemp("browser"), patch)


@pytest.fixture(scope="module")
def address(shop):
    from assistant import chat

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    blocks, address = chat.start(shop, "narrator", port=port)
    yield address
    blocks.close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address):
    """A reader of their own, with the page open on the images; any request elsewhere fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(WAIT)
    asked: list[str] = []
    wrong: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(f"{address}?run=R1")
    opened.wait_for_selector(".head .id")
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert wrong == []


def ask(page, question: str) -> None:
    """Type and send until it is taken: text typed before the page is alive is lost."""
    before = page.locator("#talk .user-row").count()
    for _ in range(40):
        page.fill("#ask textarea", question)
        page.keyboard.press("Enter")
        time.sleep(0.4)
        if page.locator("#talk .user-row").count() > before:
            break
    page.wait_for_function("n => document.querySelectorAll('#talk .seal').length > n", arg=before)


def current(page) -> str:
    return page.locator('.card[aria-current="true"]').get_attribute("data-finding")


def shows(page, finding: str) -> None:
    page.wait_for_function("name => document.querySelector('.head .id')?.textContent === name", arg=finding)


def test_a_finding_opens_with_map_places_and_normal_version(page):
    page.wait_for_selector(".pane.compare")
    assert page.locator(".stage .heat").count() == 1
    assert page.locator(".stage .tag").count() >= 1
    assert "p-value" in page.locator(".head").inner_text()


def test_an_answer_is_streamed_checked_and_its_evidence_opens(page):
    ask(page, "Why is it anomalous?")
    assert page.locator("#talk .thought-group").count() >= 1
    assert "checked against" in page.locator("#talk .seal").last.inner_text()
    mark = page.locator('#talk .message-content a[href*="#E"]').first
    name = mark.inner_text()
    mark.click()
    page.wait_for_selector(f'[aria-label="Evidence {name}"]')
    page.keyboard.press("Escape")
    page.wait_for_selector(".evidence", state="detached")


def test_a_suggested_question_can_be_asked(page):
    page.wait_for_selector("#suggestions [data-ask]")
    page.locator("#suggestions [data-ask]").first.click()
    page.wait_for_selector("#talk .seal")


def test_the_keyboard_goes_through_the_queue_and_labels(page):
    page.locator(".card").first.focus()
    first = current(page)
    page.keyboard.press("j")
    second = current(page)
    assert second != first
    shows(page, second)
    page.keyboard.press("x")
    page.wait_for_selector(f'.card[data-finding="{second}"] .false-alarm')
    page.keyboard.press("k")
    shows(page, first)


def test_fast_picks_end_on_the_last(page):
    names = [card.get_attribute("data-finding") for card in page.locator(".card").all()]
    for name in [*names, *names]:
        page.locator(f'.card[data-finding="{name}"]').click()
    shows(page, names[-1])
    for _ in range(10):
        time.sleep(0.1)
        assert page.locator(".head .id").first.inner_text() == names[-1]


def test_an_answer_that_overtakes_the_latest_is_put_right(page, monkeypatch):
    """Another finding comes up after the one that was picked: the page asks for its own again."""
    from assistant.chat.desk import Desk

    names = [card.get_attribute("data-finding") for card in page.locator(".card").all()]
    page.locator(f'.card[data-finding="{names[-1]}"]').click()
    shows(page, names[-1])
    own, late = Desk.head, [names[0]]
    monkeypatch.setattr(Desk, "head", lambda desk, one: own(desk, desk.store.finding(late.pop()) if late else one))
    page.keyboard.press("c")
    shows(page, names[0])
    shows(page, names[-1])
    page.keyboard.press("u")
    page.wait_for_selector(".head .state:not(.confirmed)")


def test_search_narrows_the_queue(page):
    page.keyboard.press("/")
    page.keyboard.type("part_007")
    page.wait_for_function("document.querySelectorAll('.card').length === 1")


def test_a_series_is_drawn(page):
    page.select_option('select[name="run"]', "R2")
    page.wait_for_selector("#plot .js-plotly-plot .scatterlayer")
    page.wait_for_function("document.querySelector('#parts').innerText.includes('Intervals')")


def test_the_report_is_downloaded(page):
    with page.expect_download(timeout=WAIT) as download:
        page.click("[data-report]")
    assert download.value.suggested_filename.endswith(".html")
    with open(download.value.path(), encoding="utf-8") as file:
        assert "How it was measured" in file.read()


def test_readers_do_not_see_each_others_conversations(page, browser, address):
    ask(page, "What was flagged?")
    other = browser.new_context().new_page()
    other.set_default_timeout(WAIT)
    other.goto(f"{address}?run=R2")
    other.wait_for_selector(".head .id")
    assert other.locator("#talk .user-row").count() == 0
    other.context.close()


def test_a_conversation_survives_a_reload(page):
    ask(page, "What was flagged?")
    page.reload()
    page.wait_for_selector("#talk .seal")


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 800), (900, 800), (420, 900)])
def test_nothing_overflows(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    time.sleep(0.5)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_dark_and_light_are_remembered(page):
    before = page.evaluate("document.body.classList.contains('dark')")
    page.click("#theme")
    page.reload()
    page.wait_for_selector(".head .id")
    page.wait_for_function("was => document.body.classList.contains('dark') !== was", arg=before)


def test_the_stores_files_are_not_handed_out(page, address, shop):
    for name in ("store.db", "threads.db"):
        answer = page.request.get(f"{address}gradio_api/file={shop.store.root / name}")
        assert answer.status == 403
