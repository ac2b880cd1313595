"""Measures the page as a reader meets it: a store with 100,000 findings, a headless Chromium, medians in milliseconds.

The findings on the first pages are real ones of a small model (pictures, maps, normal versions); the rest are rows of
the store alone, with higher p-values, so that sorting, counting and paging work on all of them. Times are taken inside
the browser. Knows the store, the command line and the browser; not gradio.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant.config import Config
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.records import NewFinding, Run
from assistant.store import Store
from detectors.errors import AnomalyError

FINDINGS = 100_000
REPEATS = 9
REAL = 36  # findings with pictures
QUESTIONS = ("Why is it anomalous?", "What was flagged?", "Where is it?", "How sure is it?", "What kind is it?")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
GOALS = {"first page": 2000.0, "a finding opens": 300.0, "first words of an answer": 500.0}  # milliseconds
WAIT = 60_000  # milliseconds; machines are shared
_WATCH = """(seen) => { window.waited = new Promise((done, failed) => {
  const condition = new Function('return ' + seen);
  let began = 0, late = 0;
  const end = () => { watch.disconnect(); clearTimeout(late); done(performance.now() - began); };
  const look = () => { if (began && condition()) end(); };
  const watch = new MutationObserver(look);
  const begin = () => { began = began || performance.now(); };
  for (const kind of ['keydown', 'click']) document.addEventListener(kind, begin, { capture: true, once: true });
  watch.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  late = setTimeout(() => { watch.disconnect(); failed(new Error('waited too long for ' + seen)); }, 60000);
}); }"""  # the clock starts with the reader's own key or click


@dataclass(frozen=True)
class Row:
    """One thing that a reader does, and how long it took."""

    measure: str
    median_ms: float
    slowest_ms: float
    times: int
    goal_ms: float


def measure(
    findings: int = FINDINGS, repeats: int = REPEATS, tell: Callable[[float, str], None] = lambda f, m: None
) -> list[Row]:
    """Fill a store, serve its page, and use it.

    Raises:
        AnomalyError: there is no Playwright or no Chromium.
    """
    with _browser() as browser, tempfile.TemporaryDirectory(prefix="anomaly-page-") as folder:
        tell(0.05, "making a store")
        config = filled(Path(folder), findings)
        tell(0.4, "opening the page")
        with _served(config) as address:
            _warm(browser, address)
            taken = _used(browser, address, repeats, lambda part: tell(0.4 + 0.6 * part, "using the page"))
    return [
        Row(name, round(statistics.median(times), 1), round(max(times), 1), len(times), GOALS[name])
        for name, times in taken.items()
    ]


# --- the store --------------------------------------------------------------------------------------------------------


def filled(folder: Path, findings: int) -> Config:
    """A store below `folder` whose only run has so many findings; its settings."""
    from assistant.evals.generated import SETTINGS
    from assistant.evals.planted_images import make_world

    world = make_world("parts", 7, {"scratch": REAL // 3, "stain": REAL // 3, "missing part": REAL // 3})
    config = Config(store=str(folder / "store"), pictures=REAL, device="cpu")
    fit_model(world.normal, folder / "model", "image", settings={**SETTINGS["image"], "device": "cpu"})
    workspace = Workspace.open(config, create=True)
    run = run_detection(workspace, world.test, folder / "model", 0.05)
    add_rows(workspace.store, run, findings - run.n_flagged)
    workspace.store.close()
    return config


def add_rows(store: Store, run: Run, count: int) -> None:
    """Findings without pictures behind those of a run, each less anomalous than all of them."""
    from sqlalchemy import update

    from assistant.store.rows import id_number, insert_findings
    from assistant.store.schema import RunRow

    rng = np.random.default_rng(0)
    worst = max((f.p_value for f in store.findings(run.id, limit=None)), default=0.001)
    kinds, places = ("scratch", "stain", "missing part", ""), ("upper left", "centre", "lower right")
    made = [
        NewFinding(
            f"line/part_{i:06d}.png", run.n_samples + i, float(score), worst + 1e-6 * i, kind=kinds[i % 4],
            regions=[{"name": "region 1", "position": places[i % 3], "share": 1.0, "peak": 1.5, "box": [4, 4, 20, 20]}],
            parts=[{"name": "region 1", "share": 1.0, "observed": 1.0, "expected": 0.0}],
        )
        for i, score in enumerate(rng.uniform(0.5, 1.0, count))
    ]  # fmt: skip
    number, grown = id_number("R", run.id), replace(run, n_flagged=run.n_flagged + count)
    with store.database.write() as session:
        for first in range(0, count, 5000):
            insert_findings(session, number, grown, made[first : first + 5000])
        values = {"n_flagged": grown.n_flagged, "n_samples": run.n_samples + count}
        session.execute(update(RunRow).where(RunRow.id == number).values(**values))


# --- the page ---------------------------------------------------------------------------------------------------------


@contextmanager
def _served(config: Config) -> Iterator[str]:
    """The page in a process of its own, as `anomaly chat` serves it."""
    command = [sys.executable, "-m", "assistant.cli", "chat", "--store", config.store, "--port", str(_free()), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    assert process.stdout is not None
    told = ""
    try:
        while not told.rstrip().endswith("}"):
            line = process.stdout.readline()
            if not line:
                raise AnomalyError(f"The page did not start: {told.strip() or 'no word from it'}.")
            told += line
        yield json.loads(told)["address"]
    finally:
        process.terminate()
        process.wait(20)


def _free() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _browser() -> Iterator[Any]:
    """A headless Chromium.

    Raises:
        AnomalyError: there is no Playwright or no Chromium.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise AnomalyError(
            "The page is measured with Playwright, which is not here: pip install 'anomaly-assistant[dev]'."
        ) from None
    named = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("ANOMALY_TEST_BROWSER") or next((p for n in named if (p := shutil.which(n))), None)
    with sync_playwright() as running:
        try:
            browser = running.chromium.launch(executable_path=found, args=list(FLAGS))
        except Error as error:
            said = str(error).splitlines()[0]
            raise AnomalyError(f"No Chromium can be started ({said}); try: playwright install chromium.") from None
        yield browser
        browser.close()


def _opened(browser: Any, address: str) -> tuple[Any, float]:
    """A new reader's page, and the milliseconds until its first finding and its queue are there."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(WAIT)
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(".head .id")
    page.wait_for_selector("[data-finding]")
    return page, 1000 * (time.perf_counter() - began)


def _warm(browser: Any, address: str) -> None:
    """Once through all of it: what a process does the first time (loading a detector) is not what a reader meets."""
    page, _ = _opened(browser, address)
    _asked(page, QUESTIONS[0])
    page.context.close()


def _used(browser: Any, address: str, repeats: int, tell: Callable[[float], None]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in GOALS}
    for number in range(repeats):
        page, milliseconds = _opened(browser, address)
        taken["first page"].append(milliseconds)
        taken["a finding opens"].append(_picked(page, 1 + number % 12))
        taken["first words of an answer"].append(_asked(page, QUESTIONS[number % len(QUESTIONS)]))
        page.context.close()
        tell((number + 1) / repeats)
    return taken


def _picked(page: Any, card: int) -> float:
    """Milliseconds until a card that was clicked is in the middle of the page."""
    chosen = page.locator("[data-finding]").nth(card)
    name = chosen.get_attribute("data-finding")
    page.evaluate(_WATCH, f"document.querySelector('.head .id')?.textContent.trim() === '{name}'")
    chosen.click()
    return float(page.evaluate("() => window.waited"))


def _asked(page: Any, question: str) -> float:
    """Milliseconds from the Enter key to the first words of the answer (the folded tool calls do not count)."""
    seals, users = page.locator("#talk .seal").count(), page.locator("#talk .user-row").count()
    words = (
        "[...document.querySelectorAll('#talk .bot-row .md, #talk .bot-row .prose')]"
        ".filter((one) => !one.closest('.thought-group') && !one.querySelector('.thinking'))"
        ".map((one) => one.textContent.trim()).filter(Boolean)"
    )
    before = int(page.evaluate(f"() => {words}.length"))
    for _ in range(5):  # what is typed before the page is alive is lost; what was taken must not be asked twice
        page.fill("#ask textarea", question)
        page.evaluate(_WATCH, f"{words}.length > {before}")
        page.press("#ask textarea", "Enter")
        if _taken(page, users):
            break
    taken = float(page.evaluate("() => window.waited"))
    page.wait_for_function("n => document.querySelectorAll('#talk .seal').length > n", arg=seals)
    return taken


def _taken(page: Any, users: int) -> bool:
    """Whether a question stands in the talk, given some seconds."""
    for _ in range(80):
        if page.locator("#talk .user-row").count() > users:
            return True
        time.sleep(0.1)
    return False


# --- told -------------------------------------------------------------------------------------------------------------


def as_json(rows: list[Row], findings: int) -> dict[str, Any]:
    """As the other topics of the bench."""
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    return {"machine": machine, "findings": findings, "rows": [asdict(row) for row in rows], "table": as_markdown(rows)}


def as_markdown(rows: list[Row]) -> str:
    """A line a measure."""
    lines = ["| measure | median ms | slowest ms | times | goal ms |", "|---|---|---|---|---|"]
    lines += [f"| {r.measure} | {r.median_ms:.0f} | {r.slowest_ms:.0f} | {r.times} | {r.goal_ms:.0f} |" for r in rows]
    return "\n".join(lines)
