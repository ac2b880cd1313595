"""A watch judges what comes in once, whatever happens: files, rows, frames and requests; restarts, rotations, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from fakes import SHAPE, FakeAssessment, FakeDetector
from PIL import Image
from shop import make_sources_once, picture

from assistant import pipeline
from assistant.config import Config
from assistant.keeping import load_stretch
from assistant.keeping.clips import load_excerpt
from assistant.pipeline import Workspace
from assistant.store import Store, StoreError
from assistant.watch import alerts
from assistant.watch.folder import NewFiles
from assistant.watch.judge import Edge, Judge
from assistant.watch.ledger import Ledger, newest_finding
from assistant.watch.loop import Options, watch
from assistant.watch.rows import GrowingFile
from detectors.detection import Detection, Part, Region
from detectors.errors import AnomalyError

SECRET = "a secret of this test"


class Told:
    """What a watch told."""

    def __init__(self):
        self.findings, self.remarks = [], []

    def finding(self, finding):
        self.findings.append(finding)

    def remark(self, text):
        self.remarks.append(text)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh store, fake detectors, and model folders named after their modality."""
    sources = make_sources_once()

    def load(model, device="auto"):
        modality = model.name if hasattr(model, "name") else str(model).rsplit("/", 1)[-1]
        if modality == "image":
            return FakeDetector("image", [])
        return FakeDetector(modality, pd.read_csv(sources[modality], index_col=0 if modality == "series" else None))

    monkeypatch.setattr(pipeline, "load", load)
    for modality in ("image", "series", "table"):
        (tmp_path / "models" / modality).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def workspace(home):
    return Workspace(Store.open(home / "store"), Config(store=str(home / "store"), pictures=0))


def look(workspace, source, modality, home, **options):
    """What is there now, judged; (summary, what was told)."""
    told = Told()
    given = Options(**{"once": True, "settle": 0.0, "every": 0.05, "idle": 1e9, **options})
    summary = watch(workspace, str(source), home / "models" / modality, given, told, threading.Event())
    return summary, told


def save(path, *squares):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(*squares)).save(path)


def lines(frame, first, end, header=False):
    return frame.iloc[first:end].to_csv(header=header, index_label="time" if frame.index.dtype.kind == "M" else None,
                                        index=frame.index.dtype.kind == "M")  # fmt: skip


def machine():
    frame = pd.read_csv(make_sources_once()["series"], index_col=0)
    frame.index = pd.to_datetime(frame.index)
    return frame


# --- a folder ---------------------------------------------------------------------------------------------------------


def test_new_pictures_join_one_run_and_bad_ones_are_told_and_recorded(workspace, home):
    folder = home / "in"
    save(folder / "a_1.png")
    save(folder / "a_2.png", (4, 6))
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.csv").write_text("a,b\n1,2\n")
    first, told = look(workspace, folder, "image", home)
    assert (first.judged, first.findings, first.skipped) == (2, ["F1"], 2)
    assert [text.split(":")[1].strip() for text in told.remarks] == ["broken.png", "notes.csv"]
    save(folder / "deep" / "a_3.png", (4, 6))
    second, _ = look(workspace, folder, "image", home)
    assert (second.judged, second.findings, second.skipped) == (1, ["F2"], 0)
    (run,) = workspace.store.runs()
    assert (run.n_samples, run.n_flagged, run.source) == (3, 2, str(folder))
    assert [s.name for s in workspace.store.samples(run.id)] == ["a_1.png", "a_2.png", "deep/a_3.png"]
    assert workspace.store.finding("F2").index == 2
    assert (workspace.store.finding("F2").folder / "input.png").is_file()
    assert [name for name, _ in run.skipped] == ["broken.png", "notes.csv"]


def test_a_file_counts_when_nobody_writes_it_any_more(tmp_path):
    files = NewFiles(tmp_path, "image", {}, settle=0.2)
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / ".hidden.png").write_bytes(b"1")
    (tmp_path / "b.png.part").write_bytes(b"1")
    assert files.ready(9) == []
    assert files.writing == 1
    time.sleep(0.25)
    (tmp_path / "a.png").write_bytes(b"12")
    assert files.ready(9) == []
    time.sleep(0.25)
    ready = files.ready(9)
    assert [one.name for one in ready] == ["a.png"]
    files.done(ready)
    assert files.ready(9) == []
    time.sleep(0.01)
    (tmp_path / "a.png").write_bytes(b"123")  # written anew: judged anew
    os.utime(tmp_path / "a.png", (1, 1))
    assert [one.name for one in files.ready(9)] == ["a.png"]


def test_tables_of_a_folder_are_runs_of_their_own(workspace, home):
    folder = home / "in"
    folder.mkdir()
    for name in ("monday.csv", "tuesday.csv"):
        (folder / name).write_text(make_sources_once()["table"].read_text())
    (folder / "wednesday.csv").write_bytes(b"\0\1\2")
    summary, told = look(workspace, folder, "table", home)
    assert (summary.judged, len(summary.findings), summary.skipped) == (80, 4, 1)
    assert [run.source.rsplit("/", 1)[-1] for run in workspace.store.runs()] == ["tuesday.csv", "monday.csv"]
    assert "wednesday.csv" in told.remarks[0]
    assert workspace.specimen("F4").judge(workspace.specimen("F4").samples()).p_value < 0.01


# --- growing files ----------------------------------------------------------------------------------------------------


def test_appended_rows_are_judged_once_and_half_a_line_waits(workspace, home):
    text = make_sources_once()["table"].read_text().splitlines(keepends=True)
    file = home / "payments.csv"
    file.write_text("".join(text[:6]) + text[6][:3])
    assert look(workspace, file, "table", home)[0].judged == 5
    with file.open("a") as more:
        more.write(text[6][3:] + "".join(text[7:]))
    summary, _ = look(workspace, file, "table", home)
    assert (summary.judged, summary.findings) == (35, ["F1", "F2"])
    assert look(workspace, file, "table", home)[0].judged == 0
    assert [(f.sample, f.index) for f in workspace.store.findings(order="index")] == [("row 5", 5), ("row 9", 9)]
    assert len(workspace.table("R1")) == 40
    assert workspace.specimen("F1").samples()["amount"].iloc[0] == 50.0


def test_events_of_a_growing_series_are_those_of_the_whole_whatever_the_pieces(workspace, home):
    frame = machine()
    file = home / "machine.csv"
    file.write_text(lines(frame, 0, 20, header=True))
    found = []
    for first in range(20, 120, 7):
        found += look(workspace, file, "series", home)[0].findings
        with file.open("a") as more:
            more.write(lines(frame, first, min(120, first + 7)))
    found += look(workspace, file, "series", home)[0].findings
    found += look(workspace, file, "series", home, idle=0.0)[0].findings
    assert found == ["F1", "F2"]
    told = workspace.store.findings(order="index")
    assert [(f.sample, f.index, f.regions[0]["start"], f.regions[0]["end"]) for f in told] == [
        ("60..64", 60, 60, 64), ("90..91", 90, 90, 91)]  # fmt: skip
    assert told[0].time == "2024-03-02T01:00:00"
    stretch = load_stretch(told[0].folder)
    assert stretch.event == (60, 64)
    assert np.allclose(stretch.observed[stretch.rows, 0], 9.0)
    assert len(workspace.series("R1")) == len(workspace.series_scores("R1")[0]) == 120
    assert workspace.specimen("F1").judge(workspace.specimen("F1").samples()).p_value < 0.01


def test_an_event_at_the_end_waits_until_it_is_whole_or_the_file_rests(workspace, home):
    file = home / "machine.csv"
    file.write_text(lines(machine(), 0, 62, header=True))
    assert look(workspace, file, "series", home)[0].findings == []
    assert look(workspace, file, "series", home, idle=0.0)[0].findings == ["F1"]
    with file.open("a") as more:
        more.write(lines(machine(), 62, 80))  # the event goes on for two rows: told already
    assert look(workspace, file, "series", home, idle=0.0)[0].findings == []


def test_long_events_are_told_before_they_end_and_once():
    edge, told = Edge(hold=4, longest=16), []
    for count in range(10, 80, 5):
        wanted, after = edge.judge(count, final=False)
        told += [count] if wanted(8, count) else []
        edge = after()
    assert told == [25]


def test_a_file_that_was_cut_or_replaced_is_read_anew_and_told(workspace, home):
    file = home / "payments.csv"
    text = make_sources_once()["table"].read_text().splitlines(keepends=True)
    file.write_text("".join(text[:21]))
    look(workspace, file, "table", home)
    file.write_text("".join(text[:11]))
    summary, told = look(workspace, file, "table", home)
    assert summary.judged == 10
    assert told.remarks == ["payments.csv was cut short or replaced; it is read from its beginning."]
    file.write_text(text[0] + "".join(text[12:30]))
    summary, told = look(workspace, file, "table", home)
    assert summary.judged == 18
    assert "was replaced by another file" in told.remarks[0]


def test_rows_that_a_rotated_file_still_held_are_judged_first(workspace, home):
    file, text = home / "payments.csv", make_sources_once()["table"].read_text().splitlines(keepends=True)
    file.write_text("".join(text[:6]))
    look(workspace, file, "table", home)
    with file.open("a") as more:
        more.write("".join(text[6:20]).rstrip("\n"))
    file.rename(home / "payments.csv.1")
    file.write_text(text[0] + "".join(text[20:]))
    summary, told = look(workspace, file, "table", home)
    assert (summary.judged, summary.findings) == (35, ["F1", "F2"])
    assert len(workspace.store.samples("R1")) == 40
    assert len(told.remarks) == 1


def test_a_clock_that_goes_back_begins_a_new_run(workspace, home):
    file = home / "machine.csv"
    file.write_text(lines(machine(), 0, 100, header=True))
    look(workspace, file, "series", home)
    file.write_text(lines(machine(), 0, 100, header=True).replace("2024", "2023"))
    _, told = look(workspace, file, "series", home, idle=0.0)
    assert any("a new run begins" in text for text in told.remarks)
    assert len(workspace.store.runs()) == 2


def test_a_line_that_is_no_row_is_left_out_and_the_others_count(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n3,4\n5,6,7,8,9\n6,7\n")
    lot = GrowingFile(file, "table", {}).look()
    assert lot.data.samples["a"].tolist() == [1.0, 3.0, 6.0]
    assert [name for name, _ in lot.skipped] == ["a.csv, row 2"]


def test_the_first_rows_must_fit_the_model(workspace, home):
    (home / "other.csv").write_text("colour,size\nred,1\nblue,2\n")
    with pytest.raises(Exception, match=r"colour|size|channel|numeric|float"):
        look(workspace, home / "other.csv", "table", home)
    assert workspace.store.runs() == []


def test_parquet_that_is_written_again_with_more_rows_grows(workspace, home):
    frame = pd.read_csv(make_sources_once()["table"])
    frame.iloc[:8].to_parquet(home / "p.parquet")
    assert look(workspace, home / "p.parquet", "table", home)[0].findings == ["F1"]
    frame.to_parquet(home / "p.parquet")
    summary, _ = look(workspace, home / "p.parquet", "table", home)
    assert (summary.judged, summary.findings) == (32, ["F2"])
    assert workspace.store.finding("F2").sample == "row 9"


def test_drift_is_told_when_it_comes(workspace, home, monkeypatch):
    from detectors.drift import DriftState

    monkeypatch.setattr(FakeDetector, "score_drift", lambda *_: DriftState(0.5, 0.001, True, "higher", 40.0))
    _, told = look(workspace, make_sources_once()["table"], "table", home)
    assert told.remarks == ["Drift: what comes in scores higher than the normals of the fit."]
    assert workspace.store.run().info["drift"]["drifting"]


# --- frames -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clip(home):
    """Thirty frames of which 12 carries a bright square, as an mp4 and as a folder."""
    av = pytest.importorskip("av")
    with av.open(str(home / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 32, 24, "yuv420p", 4_000_000
        for number in range(30):
            grey = picture((4, 6)) if number == 12 else picture()
            frame = av.VideoFrame.from_ndarray(np.stack([grey] * 3, -1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return home / "clip.mp4"


@pytest.fixture
def grey(monkeypatch):
    """The fake takes pictures of one channel; what clips hold has three."""
    values = FakeDetector._values
    flat = lambda self, samples: values(self, [s[..., 0] if np.ndim(s) == 3 else s for s in samples])  # noqa: E731
    monkeypatch.setattr(FakeDetector, "_values", flat)


def test_a_clip_is_judged_to_its_end_and_not_twice(workspace, home, clip, grey):
    summary, _ = look(workspace, clip, "image", home)
    assert (summary.judged, [f.sample for f in workspace.store.findings()]) == (30, ["frame 12"])
    assert look(workspace, clip, "image", home)[0].judged == 0


class FakeGate(FakeDetector):
    """Of clips: frames brighter than 200 somewhere are odd; evidence reaches one frame to either side."""

    def __init__(self):
        super().__init__("image", [])
        self.modality = "video"

    def info(self):
        return {**super().info(), "settings": {"smooth": 2, "lag": 1, "lags": [1], "gap": 1}}

    def assess(self, samples, alpha=0.01, fdr=None, member=None, progress=None):
        frames = [samples[0].frame(n).astype(float) for n in range(len(samples[0]))]
        bright = np.array([frame.max() > 200 for frame in frames])
        p = np.where(bright | np.r_[bright[1:], False] | np.r_[False, bright[:-1]], 0.001, 0.5)
        edges = np.flatnonzero(np.diff(np.r_[0, (p <= alpha).astype(int), 0]))
        found = [self._event(frames, int(a), int(b), alpha) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        return FakeAssessment(1 / p, p, found)

    def _event(self, frames, a, b, alpha):
        mask = np.ones((5, 8), bool)
        region = Region("region 1", "box", 1.0, 2.0, "upper left", (4, 6, 12, 11), 40, mask, a, b, frame=(a + b) // 2)
        return Detection(f"frames {a} to {b - 1}", a, "video", 9.0, 0.001, alpha, True, (region,),
                         (Part("motion", 1.0, 1.0, 0.0),), np.zeros(SHAPE))  # fmt: skip


def test_events_of_a_camera_s_folder_are_told_whole_and_once_whatever_the_pieces(workspace, home, monkeypatch):
    monkeypatch.setattr(pipeline, "load", lambda *_: FakeGate())
    (home / "models" / "video").mkdir()
    odd, found = {8, 9, 10, 30, 59}, []
    for first in range(0, 60, 10):
        for number in range(first, first + 10):
            save(home / "cam" / f"{number}.png", *([(4, 6)] if number in odd else []))
        found += look(workspace, home / "cam", "video", home)[0].findings
    found += look(workspace, home / "cam", "video", home, idle=0.0)[0].findings
    assert found == ["F1", "F2", "F3"]
    told = workspace.store.findings(order="index")
    assert [(f.sample, f.regions[0]["start"], f.regions[0]["end"]) for f in told] == [
        ("frames 7 to 11", 7, 12), ("frames 29 to 31", 29, 32), ("frames 58 to 59", 58, 60)]  # fmt: skip
    excerpt = load_excerpt(told[1].folder)
    assert (excerpt.event, excerpt.peak) == ((29, 32), 30)
    assert excerpt.frames[excerpt.peak - excerpt.first].max() == 250
    assert workspace.store.run("R1").n_samples == 60


def test_a_camera_gives_as_many_frames_a_second_as_were_asked_for(workspace, home, clip, grey):
    summary, _ = look(workspace, f"camera:{clip}", "image", home, fps=5.0)
    assert summary.judged == 15
    with pytest.raises(AnomalyError, match="cannot be opened"):
        look(workspace, "camera:/no/device", "image", home)


# --- together and apart -----------------------------------------------------------------------------------------------


def test_two_that_watch_the_same_are_told(workspace, home):
    file = make_sources_once()["table"]
    first, second = (Ledger(workspace.store, str(file), "model") for _ in range(2))
    judge = Judge(workspace, first, home / "models" / "table", 0.01)
    judge.keep(judge.grow(pipeline.read(file, "table"), {}))
    other = Judge(workspace, second, home / "models" / "table", 0.01)
    with pytest.raises(StoreError, match="Another process watches"):
        other.keep(other.grow(pipeline.read(file, "table"), {}))
    assert workspace.store.run().n_samples == 40


def test_what_a_crash_left_behind_does_not_count(workspace, home, monkeypatch):
    text = make_sources_once()["table"].read_text().splitlines(keepends=True)
    file = home / "payments.csv"
    file.write_text("".join(text[:8]))
    look(workspace, file, "table", home)
    file.write_text("".join(text))
    monkeypatch.setattr("assistant.watch.ledger.newest_finding", None)
    placed = sys.modules["assistant.watch.ledger"]._place

    def crash(*given):
        placed(*given)
        raise RuntimeError("power cut")

    monkeypatch.setattr("assistant.watch.ledger._place", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        look(workspace, file, "table", home)
    assert len(workspace.table("R1")) == 7
    monkeypatch.setattr("assistant.watch.ledger._place", placed)
    assert look(workspace, file, "table", home)[0].findings == ["F2"]
    assert (len(workspace.table("R1")), workspace.store.run("R1").n_samples) == (40, 40)
    assert newest_finding(workspace.store) == 2


def test_another_level_begins_another_run(workspace, home):
    save(home / "in" / "a_1.png", (4, 6))
    look(workspace, home / "in", "image", home)
    save(home / "in" / "a_2.png", (4, 6))
    look(workspace, home / "in", "image", home, alpha=0.02)
    assert [(run.alpha, run.n_samples) for run in workspace.store.runs()] == [(0.02, 1), (0.01, 1)]


@pytest.mark.parametrize(
    ("source", "modality", "message"),
    [
        ("nowhere", "image", "There is no file or folder"),
        ("models/notes.txt", "table", "is not watched for new rows"),
        ("models/rows.csv", "image", "holds rows, but the model is one of images"),
    ],
)
def test_what_cannot_be_watched_is_said(workspace, home, source, modality, message):
    (home / "models" / "notes.txt").write_text("x")
    (home / "models" / "rows.csv").write_text("a\n1\n")
    with pytest.raises(AnomalyError, match=message):
        look(workspace, home / source, modality, home)


# --- alerts -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver():
    """A web server that fails twice, then takes what comes; `.got` holds (headers, body) of every try."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((dict(self.headers), body))
            self.send_response(500 if len(self.server.got) <= self.server.failing else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.failing = [], 2
    server.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_alert_is_signed_and_tried_until_it_is_taken(workspace, home, receiver, monkeypatch):
    monkeypatch.setenv("ANOMALY_WEBHOOK_SECRET", SECRET)
    monkeypatch.setattr(alerts, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(alerts.Sender.__init__, "__defaults__", (0.05,))
    save(home / "in" / "a_1.png", (4, 6))
    summary, told = look(workspace, home / "in", "image", home, webhook=receiver.url)
    deadline = time.monotonic() + 10
    while summary.alerts_waiting and time.monotonic() < deadline:  # a restart goes on with what waits
        time.sleep(0.1)
        summary, _ = look(workspace, home / "in", "image", home, webhook=receiver.url)
    assert len(receiver.got) == 3
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.got}) == 1
    headers, body = receiver.got[-1]
    given = headers["X-Anomaly-Timestamp"], headers["X-Anomaly-Signature"]
    assert alerts.verified(SECRET.encode(), body, *given, now=time.time())
    assert not alerts.verified(SECRET.encode(), body + b" ", *given, now=time.time())
    assert not alerts.verified(b"another", body, *given, now=time.time())
    assert not alerts.verified(SECRET.encode(), body, *given, now=time.time() + 400)
    alert = json.loads(body)
    assert (alert["count"], alert["findings"][0]["finding"]) == (1, "F1")
    assert any("does not take alerts (status 500)" in text for text in told.remarks)
    assert SECRET.encode() not in (home / "store" / "store.db").read_bytes()


def test_alerts_need_a_secret_and_a_web_address(workspace, home, monkeypatch):
    (home / "in").mkdir()
    monkeypatch.delenv("ANOMALY_WEBHOOK_SECRET", raising=False)
    with pytest.raises(AnomalyError, match="set ANOMALY_WEBHOOK_SECRET"):
        look(workspace, home / "in", "image", home, webhook="http://127.0.0.1:9/")
    monkeypatch.setenv("ANOMALY_WEBHOOK_SECRET", SECRET)
    with pytest.raises(AnomalyError, match="http or https"):
        look(workspace, home / "in", "image", home, webhook="file:///etc/passwd")


# --- push -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pushed(workspace, home):
    """A watch that listens; (post, what was told)."""
    stop, told, address = threading.Event(), Told(), []

    def start(modality):
        options = Options(listen=("127.0.0.1", 0), every=0.05)
        arguments = (workspace, "line 1", home / "models" / modality, options, told, stop)
        thread = threading.Thread(target=watch, args=arguments, daemon=True)
        thread.start()
        while not told.remarks:
            time.sleep(0.01)
        address.append(told.remarks[0].split()[-1])
        threads.append(thread)

    def post(body, **headers):
        request = urllib.request.Request(address[0], body, {k.replace("_", "-"): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    threads = []
    yield start, post
    stop.set()
    for thread in threads:
        thread.join(10)


def test_rows_that_are_pushed_are_answered_with_what_was_found(workspace, pushed):
    start, post = pushed
    start("table")
    rows = pd.read_csv(make_sources_once()["table"]).to_dict("records")
    body = json.dumps(rows).encode()
    status, reply = post(body, Content_Type="application/json", Idempotency_Key="lot 1")
    assert (status, reply["judged"], reply["findings"]) == (200, 40, ["F1", "F2"])
    assert post(body, Content_Type="application/json", Idempotency_Key="lot 1")[1]["again"]
    assert post(body[:-9], Content_Type="application/json")[0] == 422
    assert post(b"x", Content_Type="text/html")[0] == 415
    assert workspace.store.run().n_samples == 40
    assert workspace.store.run().source == "http push line 1"


def test_a_picture_can_be_pushed_under_its_name(workspace, pushed, tmp_path):
    start, post = pushed
    start("image")
    save(tmp_path / "x.png", (4, 6))
    status, reply = post((tmp_path / "x.png").read_bytes(), X_Filename="../../etc/part 7.png")
    assert (status, reply["findings"]) == (200, ["F1"])
    assert workspace.store.finding("F1").sample == "part 7.png"


def test_who_pushes_from_elsewhere_needs_a_token(workspace, home, monkeypatch):
    monkeypatch.delenv("ANOMALY_PUSH_TOKEN", raising=False)
    options = Options(listen=("0.0.0.0", 0))
    with pytest.raises(AnomalyError, match="ANOMALY_PUSH_TOKEN"):
        watch(workspace, "x", home / "models" / "table", options, Told(), threading.Event())


def test_a_wrong_token_and_a_full_queue_are_told(workspace, pushed, monkeypatch):
    monkeypatch.setenv("ANOMALY_PUSH_TOKEN", "right")
    monkeypatch.setattr("assistant.watch.push.WAITING", 1)
    start, post = pushed
    slow, assess = threading.Event(), FakeDetector.assess
    monkeypatch.setattr(FakeDetector, "assess", lambda *a, **k: (slow.wait(10), assess(*a, **k))[1])
    start("table")
    assert post(b"[]", Content_Type="application/json", Authorization="Bearer wrong")[0] == 401
    body = json.dumps([{"amount": 10.0, "fee": 2.0}]).encode()
    answers = []
    send = lambda: answers.append(post(body, Content_Type="application/json", Authorization="Bearer right")[0])  # noqa: E731
    threads = [threading.Thread(target=send) for _ in range(5)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    slow.set()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [200, 200, 429, 429, 429]
    assert workspace.store.run().n_samples == 2


# --- a process --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def orders_model(tmp_path_factory, tiny_table):
    """A small real model."""
    folder = tmp_path_factory.mktemp("watch") / "orders"
    pipeline.fit_model(tiny_table.normal, folder, "table", method="smoothed_density", settings={"seed": 1})
    return folder


def started(file, model, store, *more):
    command = [sys.executable, "-m", "assistant.cli", "watch", str(file), "--model", str(model), "--store", str(store)]
    return subprocess.Popen(
        [*command, "--json", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def judged(store):
    if not (store / "store.db").is_file():
        return 0
    kept = Store.open(store)
    runs = kept.runs()
    kept.close()
    return sum(run.n_samples for run in runs)


def until(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_killed_again_and_again_nothing_is_missed_or_doubled(tmp_path, tiny_table, orders_model):
    rows = pd.concat([tiny_table.test] * 8, ignore_index=True)
    text = rows.to_csv(index=False).splitlines(keepends=True)
    file, store = tmp_path / "orders.csv", tmp_path / "store"
    file.write_text("".join(text[:30]))
    rng, written = np.random.default_rng(0), 30
    for _ in range(3):
        with file.open("a") as more:
            more.write("".join(text[written : written + 9]))
        written += 9
        process, goal = started(file, orders_model, store), judged(store) + 1
        until(lambda goal=goal, going=process: judged(store) >= goal or going.poll() is not None)
        for _ in range(6):
            step = int(rng.integers(1, 25))
            with file.open("a") as more:
                more.write("".join(text[written : written + step]))
            written = min(len(text), written + step)
            time.sleep(float(rng.uniform(0, 0.15)))
        process.kill()
        process.wait()
    with file.open("a") as more:
        more.write("".join(text[written:]))
    process = started(file, orders_model, store, "--once")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    kept = Store.open(store)
    whole = Workspace(Store.open(tmp_path / "whole"), Config(pictures=0, device="cpu"))
    pipeline.run_detection(whole, file, orders_model)
    found = [(f.sample, f.index) for f in kept.findings(order="index", limit=None)]
    assert found == [(f.sample, f.index) for f in whole.store.findings(order="index", limit=None)]
    assert len(found) >= 40
    assert kept.run().n_samples == len(rows) == len(kept.samples("R1"))


def test_control_c_ends_with_a_summary(tmp_path, tiny_table, orders_model):
    file, store = tmp_path / "orders.csv", tmp_path / "store"
    tiny_table.test.to_csv(file, index=False)
    process = started(file, orders_model, store)
    until(lambda: judged(store) == 60 or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    assert told[-1]["summary"]["judged"] == 60
    assert len(told) - 1 == len(told[-1]["summary"]["findings"]) >= 5


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_badge_says_what_has_come_since_and_opens_it(workspace, home):
    from assistant.chat.page import Page
    from assistant.chat.session import Session
    from assistant.chat.watch import News

    save(home / "in" / "a_1.png", (4, 6))
    look(workspace, home / "in", "image", home)
    news = News(Page(workspace, "narrator"))
    seen, shown = news.begin()
    assert (seen, shown) == (1, "")
    assert "update" in str(news.look(seen))  # nothing new: the page stays as it is
    save(home / "in" / "a_2.png", (4, 6))
    save(home / "in" / "a_3.png", (4, 6))
    look(workspace, home / "in", "image", home)
    assert "2 new findings" in news.look(seen)
    session = Session(run="R1")
    told = news.open(session)
    assert told[:2] == (3, "")
    assert (session.focus, session.run) == ("F3", "R1")
