"""People teach from the command line: they see what would change, agree, take back, and find it all in the log."""

import json

import pytest
from shop import open_shop

from assistant import cli


@pytest.fixture
def anomaly(tmp_path, monkeypatch, capsys):
    """Run a command on the shop's store: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    shop = open_shop(tmp_path, monkeypatch)

    def run(*arguments):
        code = cli.run([*arguments, "--store", str(shop.store.root)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_label_shows_what_it_would_change_and_applies_nothing(anomaly):
    code, out, _ = anomaly("label", "F6", "normal", "--note", "a refund")
    assert code == 0
    assert "F6 (row 9) is labelled normal: false alarm." in out
    assert "With 1 false alarm counting as normal, the score flagged at alpha 0.01 goes from" in out
    assert "Nothing is applied yet: anomaly recalibrate --run R3 --yes does it." in out
    told = json.loads(anomaly("show", "F6", "--json")[1])
    assert (told["note"], told["fitted_p"]) == ("a refund", None)
    assert anomaly("label", "F6", "odd")[2] == "anomaly: the label 'odd' is unknown; known: anomaly, normal\n"


def test_a_recalibration_is_applied_and_undone(anomaly):
    anomaly("label", "F6", "normal")
    before = json.loads(anomaly("show", "F6", "--json")[1])["p_value"]
    assert "Applied as C1 (sha256" in anomaly("recalibrate", "--run", "R3", "--yes", "--why", "night shift")[1]
    assert json.loads(anomaly("show", "F6", "--json")[1])["p_value"] > before
    assert "there is nothing to change" in anomaly("recalibrate", "--run", "R3")[1]
    assert "C1 is withdrawn; the calibration of the fit counts again. (undid A2, logged as A3)" in anomaly("undo")[1]
    assert json.loads(anomaly("show", "F6", "--json")[1])["p_value"] == before


def test_one_command_labels_and_recalibrates(anomaly):
    told = json.loads(anomaly("label", "F6", "normal", "--yes", "--by", "ann", "--json")[1])
    assert told["proposal"]["added"] == ["F6"]
    assert (told["applied"]["id"], told["applied"]["who"]) == ("C1", "ann")


def test_the_log_tells_who_when_why_before_and_after(anomaly):
    anomaly("label", "F6", "normal", "--note", "a refund", "--by", "ann")
    anomaly("label", "F5", "anomaly", "--by", "bob")
    entries = json.loads(anomaly("audit", "--finding", "F6", "--json")[1])
    assert [(e["who"], e["via"], e["why"]) for e in entries] == [("ann", "command line", "a refund")]
    assert (entries[0]["before"]["state"], entries[0]["after"]["state"]) == ("new", "false alarm")
    out = anomaly("audit")[1]
    assert "labelled F5" in out
    assert "state new → false alarm" in out
    assert "Nothing has been changed about F1." in anomaly("audit", "--finding", "F1")[1]


def test_a_rule_hides_marks_and_counts(anomaly):
    code, out, _ = anomaly("ignore", "--part", "fee", "--reason", "known refund", "--until", "2099-12-31")
    assert code == 0
    assert "Rule 1: anything in fee is ignored until 2099-12-31 (known refund); it covers 1 finding now." in out
    listed = anomaly("findings", "--run", "R3")[1]
    assert "1 of 1 findings in R3." in listed
    assert "1 finding ignored by rule 1 until 2099-12-31: known refund (see --ignored)." in listed
    assert "row 9" in anomaly("findings", "--run", "R3", "--ignored")[1]
    assert json.loads(anomaly("show", "F6", "--json")[1])["ignored"] == "rule 1"
    assert "known refund" in anomaly("ignore")[1]
    assert "Rule 1 is removed." in anomaly("ignore", "--remove", "1")[1]
    assert "2 of 2 findings in R3." in anomaly("findings", "--run", "R3")[1]
    assert "Rule 1 is in force again." in anomaly("undo")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ignore", "--kind", "scratch", "--reason", "x"], "rules that never end are forgotten"),
        (["ignore", "--kind", "scratch", "--until", "friday"], "A rule needs a reason"),
        (["ignore", "--kind", "scratch", "--reason", "x", "--until", "soon"], "'soon' is no day"),
        (["ignore", "--kind", "scratch", "--reason", "x", "--until", "2001-01-01"], "is past"),
        (["ignore", "--reason", "x", "--until", "friday"], "Say what is to be ignored"),
        (["ignore", "--remove", "7"], "There is no rule '7'"),
        (["undo"], "There is nothing to undo."),
        (["undo", "A9"], "There is no change A9"),
        (["audit", "--finding", "F99"], "There is no finding F99"),
    ],
)
def test_bad_input_is_one_sentence(anomaly, arguments, message):
    code, out, err = anomaly(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().split("\n")) == 1
