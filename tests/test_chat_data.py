"""The Data tab without a browser: files, jobs, models, watched sources; one sentence for what is wrong."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import gradio as gr
import numpy as np
import pandas as pd
import pytest
from reader import event, opened
from shop import open_shop

from assistant.chat import data as chat_data
from assistant.chat.intake import Upload
from assistant.chat.jobs import Job
from assistant.chat.page import Page
from assistant.chat.session import Session
from assistant.chat.sofar import SoFar
from assistant.pipeline import run_detection
from assistant.scoring import Seen


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def page(shop):
    return Page(shop, "narrator")


# --- data in ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(tmp_path, monkeypatch):
    """Sends a file to the page's server, as the drop zone does; what the page is told of it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "arrived"))

    def send(name: str, data: bytes) -> list[str]:
        path = tmp_path / "arrived" / str(len(name)) / Path(name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return [str(path), name]

    return send


def finished(page: Page, session: Session) -> Job:
    job = page.jobs.of(session.reader)[0]
    until = time.monotonic() + 60
    while not job.ended and time.monotonic() < until:
        time.sleep(0.01)
    return job


def csv_of(page: Page, run: str) -> bytes:
    return Path(page.workspace.store.run(run).source).read_bytes()


def test_dropped_data_become_a_run_and_the_queue_hears_of_it(page, sent):
    session = opened(page)
    page.uploaded(session, event(files=[sent("new.csv", csv_of(page, "R3"))]))
    _, drop, jobs, timer = page.detect(session, "", "/models/table", 0.01, 0.0)
    assert "Drop files" in drop
    assert "Detecting in new.csv with table" in jobs
    assert timer.active
    assert finished(page, session).error == ""
    _, jobs, runs, _, timer, filters, *_ = page.ticked(session)
    assert 'data-run="R4"' in jobs
    assert "new.csv" in runs
    assert "R4" in filters
    assert not timer.active
    kept = Path(page.workspace.store.run("R4").source)
    assert kept.is_relative_to(page.workspace.store.root)


def test_a_zip_of_pictures_is_looked_through(page, sent, tmp_path):
    session = opened(page)
    folder = Path(page.workspace.store.run("R1").source)
    archive = shutil.make_archive(str(tmp_path / "tonight"), "zip", folder)
    page.uploaded(session, event(files=[sent("tonight.zip", Path(archive).read_bytes())]))
    page.detect(session, "", "/models/image", 0.01, None)
    job = finished(page, session)
    assert (job.status, job.result.n_samples) == ("done", 10)
    assert "left out" in page.jobs_view(session)  # the broken picture and the one of another size


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("empty.csv", b"", "empty"),
        ("notes.docx", b"x", "of no kind that can be read"),
        ("bad.zip", b"x", "damaged or no zip"),
        ("evil.pkl", b"x", "never opened"),
    ],
)
def test_bad_data_are_told_in_one_sentence_and_leave_nothing(page, sent, name, data, told):
    session = opened(page)
    before = len(page.workspace.store.runs())
    page.uploaded(session, event(files=[sent(name, data)]))
    page.detect(session, "", "/models/table", 0.01, None)
    job = finished(page, session)
    assert job.status == "failed"
    assert told in job.error
    assert "\n" not in job.error
    assert len(page.workspace.store.runs()) == before
    assert not list((page.workspace.store.root / "uploads").glob("*"))


def test_a_cancelled_detection_keeps_nothing(page, sent, monkeypatch):
    def endless(workspace, source, model, alpha, fdr, tell, show):
        for _ in range(5000):
            tell(0.3, "scoring")
            time.sleep(0.01)

    monkeypatch.setattr(chat_data, "run_detection", endless)
    session = opened(page)
    page.uploaded(session, event(files=[sent("new.csv", csv_of(page, "R3"))]))
    page.detect(session, "", "/models/table", 0.01, None)
    job = page.jobs.of(session.reader)[0]
    page.cancelled(session, event(job=job.id))
    assert finished(page, session).status == "cancelled"
    assert "Nothing of it was kept" in page.jobs_view(session)
    assert not list((page.workspace.store.root / "uploads").glob("*"))


def test_a_model_is_fitted_in_the_background_and_chosen(page, sent):
    session = opened(page)
    page.uploaded(session, event(files=[sent("normal.csv", normal_rows())]))
    page.fit(session, "", "line-3", "table", "smoothed_density", "", False)
    job = finished(page, session)
    assert (job.status, job.error) == ("done", "")
    assert "Learned from" in page.jobs_view(session)
    models = page.ticked(session)[3]
    assert Path(models.value) == page.workspace.store.root / "models" / "line-3"
    page.uploaded(session, event(files=[sent("normal.csv", normal_rows())]))
    with pytest.raises(gr.Error, match="already"):
        page.fit(session, "", "line-3", "table", "default", "", False)


def test_a_cancelled_fit_leaves_nothing_half_written(page, sent):
    session = opened(page)
    page.uploaded(session, event(files=[sent("normal.csv", normal_rows())]))
    page.fit(session, "", "line-3", "table", "score_matching", "train_steps=200000", False)
    job = page.jobs.of(session.reader)[0]
    until = time.monotonic() + 60
    while "step" not in job.message and not job.ended and time.monotonic() < until:
        time.sleep(0.02)
    assert not job.ended, job.error
    page.cancelled(session, event(job=job.id))
    assert finished(page, session).status == "cancelled"
    root = page.workspace.store.root
    assert [path for name in ("models", "uploads") for path in (root / name).glob("*")] == []


def normal_rows() -> bytes:
    rng = np.random.default_rng(0)
    amount = rng.lognormal(2, 0.3, 300)
    return pd.DataFrame({"amount": amount, "tax": amount * 0.19}).to_csv(index=False).encode()


def test_data_and_model_are_asked_for_in_one_sentence(page):
    session = opened(page)
    with pytest.raises(gr.Error, match="no data yet"):
        page.detect(session, "", "/models/table", 0.01, None)
    with pytest.raises(gr.Error, match="No model is chosen"):
        page.detect(session, "/y", "", 0.01, None)
    with pytest.raises(gr.Error, match="needs a name"):
        page.fit(session, "/y", "../up", "table", "default", "", False)
    session.uploads = [Upload(Path("x"), "x")]
    with pytest.raises(gr.Error, match="clear one of them"):
        page.detect(session, "/y", "/models/table", 0.01, None)


def test_only_files_that_arrived_here_can_be_named(page, sent):
    session = opened(page)
    for path in ("/etc/passwd", sent("a.csv", b"x")[0] + "/../../../../etc/passwd"):
        with pytest.raises(gr.Error, match="did not arrive"):
            page.uploaded(session, event(files=[[path, "a.csv"]]))


def test_readers_from_elsewhere_may_only_choose_models_of_the_store(shop):
    page = Page(shop, "narrator", local_paths=False)
    session = opened(page)
    with pytest.raises(gr.Error, match="no data yet"):
        page.detect(session, "/etc", "/models/table", 0.01, None)
    session.uploads = [Upload(Path("x"), "x")]
    with pytest.raises(gr.Error, match="not one of the store"):
        page.detect(session, "", "/etc", 0.01, None)
    with pytest.raises(gr.Error, match="served to this machine alone"):
        page.fit(session, "", "mine", "image", "default", "backbone=/etc", False)


# --- results as they come -----------------------------------------------------------------------------------------


def parts(page: Page) -> Path:
    return Path(page.workspace.store.run("R1").source)


@pytest.mark.parametrize("fdr", [None, 0.1])
def test_what_is_flagged_is_shown_while_the_rest_is_scored(page, monkeypatch, fdr):
    monkeypatch.setattr("assistant.scoring.CHUNK", 4)
    seen, drawn = [], []

    def show(one: Seen) -> None:
        seen.append(one)
        drawn.append(one.draw()[:4])

    run = run_detection(page.workspace, parts(page), "/models/image", 0.01, fdr, show=show)
    found = {one.name: one.p_value for one in seen if one.settled}
    kept = {finding.sample: finding.p_value for finding in page.workspace.store.findings(run.id)}
    assert found == kept
    assert any(not one.settled for one in seen) == (fdr is not None)
    assert set(drawn) == {b"RIFF"}


def test_the_oddest_samples_come_first_and_settled_ones_replace_the_others():
    so_far = SoFar()
    for number in range(30):
        so_far.see(Seen(f"line/part_{number}.png", (number * 7 % 30 + 1) / 1000, False))
    assert [one["name"] for one in so_far.card()["items"]][:2] == ["line/part_0.png", "line/part_13.png"]
    assert len(so_far.card()["items"]) == 12
    assert "30 at or below alpha so far" in so_far.card()["words"]
    so_far.see(Seen("line/part_3.png", 0.02, True))
    assert [one["name"] for one in so_far.card()["items"]] == ["line/part_3.png"]
    assert "1 flagged so far" in so_far.card()["words"]


def test_a_job_under_way_shows_what_it_has_flagged(page, monkeypatch):
    going = threading.Event()

    def slow(workspace, source, model, alpha, fdr, tell, show):
        show(Seen("part_003.png", 0.002, True, lambda: b"RIFF"))
        while not going.is_set():
            tell(0.4, "scoring")
            time.sleep(0.01)
        return workspace.store.run("R1")

    monkeypatch.setattr(chat_data, "run_detection", slow)
    session = opened(page)
    page.detect(session, str(parts(page)), "/models/image", 0.01, None)
    until = time.monotonic() + 20
    while "part_003.png" not in page.jobs_view(session) and time.monotonic() < until:
        time.sleep(0.01)
    assert "1 flagged so far" in page.jobs_view(session)
    going.set()
    assert finished(page, session).status == "done"
    assert "so far" not in page.jobs_view(session)


# --- watched sources ----------------------------------------------------------------------------------------------


def settled(page: Page, status: str) -> str:
    """The card of the only watch, once it has the status."""
    until = time.monotonic() + 20
    while page.watches.all()[0].status != status and time.monotonic() < until:
        time.sleep(0.01)
    return page.jobs_view(opened(page))


@pytest.fixture
def models(tmp_path):
    """Folders of the stand-in's models; a watch looks whether they are there."""
    for kind in ("image", "table"):
        (tmp_path / "models" / kind).mkdir(parents=True)
    return tmp_path / "models"


def test_a_folder_is_watched_from_the_page_until_it_is_stopped(page, models, tmp_path):
    shutil.copytree(parts(page), tmp_path / "incoming")
    session = opened(page)
    _, _, jobs, timer = page.watch(session, str(tmp_path / "incoming"), str(models / "image"), 0.01)
    assert timer.active
    assert "Watching" in jobs
    one = page.watches.all()[0]
    until = time.monotonic() + 20
    while len(one.summary.findings) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    with pytest.raises(gr.Error, match="is watched with image already"):
        page.watch(session, str(tmp_path / "incoming"), str(models / "image"), 0.01)
    assert "2 findings" in page.jobs_view(session)
    page.cancelled(session, event(watch=one.id))
    assert "stopped" in settled(page, "stopped")
    page.cancelled(session, event(watch=one.id))
    assert page.watches.all() == []


def test_a_camera_that_is_not_there_is_one_sentence(page, models):
    pytest.importorskip("av")
    page.watch(opened(page), "camera:77", str(models / "image"), 0.01)
    shown = settled(page, "failed")
    assert "The camera &#39;/dev/video77&#39; cannot be opened" in shown


@pytest.mark.parametrize(
    ("path", "told"), [("", "Name what to watch"), ("/no/such/place", "There is no file or folder '/no/such/place'")]
)
def test_what_cannot_be_watched_is_said_at_once(page, path, told):
    with pytest.raises(gr.Error, match=told.replace("'", "&#x27;")):
        page.watch(opened(page), path, "/models/image", 0.01)
    assert page.watches.all() == []
