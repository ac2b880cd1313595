"""The command line does what it says, speaks JSON when asked, and answers bad input in one sentence."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fakes import FakeDetector
from shop import make_sources_once, open_shop

from assistant import cli
from assistant.cli.shared import parse_settings
from assistant.cli.terminal import printable
from detectors.errors import AnomalyError


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def anomaly(shop, capsys):
    """Run a command on the shop's store: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.run([*arguments, "--store", str(shop.store.root)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_findings_are_listed(anomaly):
    code, out, _ = anomaly("findings", "--run", "R1")
    assert code == 0
    assert "part_003.png" in out
    assert "2 of 2 findings in R1." in out


def test_findings_come_as_json(anomaly):
    told = json.loads(anomaly("findings", "--part", "fee", "--json")[1])
    assert (told["run"], told["matching"]) == ("R3", 1)
    assert told["findings"][0]["parts"][0]["name"] == "fee"


@pytest.mark.parametrize(
    ("name", "text"),
    [("F1", "upper left"), ("f3", "2024-03-02T01:00:00"), ("F5", "amount"), ("R2", "2 events in 120 stamps flagged")],
)
def test_one_thing_is_shown(anomaly, name, text):
    code, out, _ = anomaly("show", name)
    assert code == 0
    assert text in out
    assert json.loads(anomaly("show", name, "--json")[1])["id"] == name.upper()


def test_incidents_and_evidence_are_shown(anomaly, shop):
    from assistant.tools import call

    evidence = call(shop, "summarise_incident", run="R2")
    assert "I1" in anomaly("show", "I1")[1]
    assert f"[{evidence.id}] summarise_incident" in anomaly("show", evidence.id)[1]


def test_unknown_ids_name_the_known_range(anomaly):
    code, out, err = anomaly("show", "F99")
    assert (code, out) == (2, "")
    assert err == "anomaly: There is no finding F99; this store holds F1 to F6.\n"
    assert json.loads(anomaly("show", "F99", "--json")[1]) == {"error": err.removeprefix("anomaly: ").strip()}


def test_detection_says_what_it_found_and_what_it_left_out(anomaly):
    code, out, err = anomaly("detect", str(make_sources_once()["image"]), "--model", _model("image"))
    assert code == 0
    assert "2 of 10 images flagged at alpha 0.01." in out
    assert "small.png" in err


def _model(name):
    """A folder that is there, so that the command goes on to the fake loader."""
    folder = make_sources_once()["image"].parent / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def test_detection_says_when_nothing_is_anomalous(anomaly):
    _, out, _ = anomaly("detect", str(make_sources_once()["table"]), "--model", _model("table"), "--alpha", "0.001")
    assert "Nothing is anomalous: none of 40 rows was flagged at alpha 0.001." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["findings", "--order", "size"], "order 'size' is unknown"),
        (["findings", "--limit", "0"], "--limit"),
        (["dance"], "No such command 'dance'"),
        (["detect"], "Missing argument"),
        (["detect", "x", "--model", "/no/model"], "There is no model folder '/no/model'"),
        (["fit", "/no/data", "--out", "m"], "There is no file or folder '/no/data'"),
        (["fit", "/no/data", "--out", "m", "--set", "steps"], "--set takes key=value"),
        (["ask", " "], "The question is empty"),
        (["report", "--out", "r.html", "--incident", "I1", "--finding", "F1"], "not both"),
        (["findings", "--config", "none.toml"], "There is no configuration file"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(anomaly, arguments, message):
    code, out, err = anomaly(*arguments)
    assert code == 2
    assert message in err
    assert out == ""
    assert err.count("\n") == 1


def test_a_missing_store_says_how_to_make_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in (["findings"], ["show", "F1"], ["ask", "why?"], ["chat"], ["report", "--out", "r.html"]):
        assert cli.run(command) == 2
        assert "There is no store at ./anomaly-store; `anomaly detect` makes one" in capsys.readouterr().err
    assert not (tmp_path / "anomaly-store").exists()


def test_our_own_faults_are_told_from_bad_input(anomaly, monkeypatch):
    monkeypatch.setattr(FakeDetector, "assess", lambda *a, **k: 1 / 0)
    monkeypatch.delenv("ANOMALY_DEBUG", raising=False)
    code, _, err = anomaly("detect", str(make_sources_once()["table"]), "--model", _model("table"))
    assert code == 1
    assert "Internal error, not your fault: ZeroDivisionError" in err


def test_stopping_is_no_error_message(anomaly, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeDetector, "assess", stop)
    code, _, err = anomaly("detect", str(make_sources_once()["table"]), "--model", _model("table"))
    assert (code, err) == (130, "Stopped.\n")


def test_settings_are_read_as_json_where_they_are():
    pairs = ["steps=5", "lr=2e-3", "noise=simplex", "clip=none", "times=[1, 2]", "mixed-case=True", "name=a=b"]
    assert parse_settings(pairs) == {
        "steps": 5,
        "lr": 0.002,
        "noise": "simplex",
        "clip": None,
        "times": [1, 2],
        "mixed_case": True,
        "name": "a=b",
    }
    with pytest.raises(AnomalyError, match="key=value"):
        parse_settings(["=3"])


def test_methods_are_listed(capsys):
    assert cli.run(["methods", "--modality", "table", "--json"]) == 0
    assert {"default", "partial"} <= {one["name"] for one in json.loads(capsys.readouterr().out)}
    assert cli.run(["methods", "--modality", "smell"]) == 2


def test_methods_are_a_matrix_of_calls_by_modality(capsys):
    assert cli.run(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:7] == ["method", "family", "image", "multimodal", "series", "table", "video"]
    assert next(line for line in lines if line.startswith("diffusion_time ")).split()[2:7] == ["0"] * 5


def test_every_method_says_its_calls_before_it_is_fitted():
    from detectors.overview import overview

    for method in overview():
        assert method["about"], method["name"]
        assert all(isinstance(calls, int) and calls >= 0 for calls in method["calls"].values()), method["name"]


def test_names_cannot_steer_the_terminal():
    assert printable("a\x1b[2Jb\r.png") == "a\\x1b[2Jb\\x0d.png"


def test_help_and_version_answer_at_once(capsys):
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-m", "assistant.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - start < 5  # seconds; it is half of one on an idle machine
    for command in ("demo", "fit", "detect", "findings", "show", "chat", "ask", "report", "label", "methods", "bench"):
        assert f"\n  {command} " in result.stdout
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("anomaly-assistant ")


def test_a_served_page_is_stopped_with_control_c(tmp_path):
    code = "from assistant.cli.shared import wait_at; wait_at('http://x', False)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs are born deaf to it
    )
    assert "Ctrl-C stops it" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == "Stopped.\n"
    assert process.returncode == 0
