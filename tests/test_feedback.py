"""Labels change nothing before a person agrees, then everything at once, and can be taken back without a trace."""

import numpy as np
import pytest
from shop import make_sources_once, open_shop

from assistant import feedback
from assistant.config import Config
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.store import Store
from assistant.store.audit import acting
from assistant.store.database import StoreError
from detectors.errors import AnomalyError


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


def state_of(shop):
    """All that a recalibration may touch: findings, samples, runs' records and arrays of p-values."""
    store = shop.store
    arrays = [np.load(path)["p_values"].tolist() for path in sorted(store.root.glob("runs/*/**/*.npz"))
              if "p_values" in np.load(path).files]  # fmt: skip
    return (
        [finding.to_dict() | {"label": None, "state": None} for finding in store.findings(limit=None)],
        [store.samples(run.id) for run in store.runs() if run.modality != "series"],
        [run.info for run in store.runs()],
        arrays,
        [path.read_text() for path in sorted(store.root.glob("runs/*/*/explanation.json"))],
    )


# --- labels and calibration -------------------------------------------------------------------------------------------


def test_a_label_alone_moves_no_p_value(shop):
    before = state_of(shop)
    shop.store.label("F6", "normal")
    assert state_of(shop) == before
    run = run_detection(shop, make_sources_once()["table"], "/models/table")
    assert (run.info["relabelled"], run.info["labels_waiting"]) == ([], 1)
    assert shop.store.samples(run.id)[9].p_value == shop.store.finding("F6").p_value


def test_a_proposal_tells_before_and_after_and_changes_nothing(shop):
    shop.store.label("F6", "normal")
    before = state_of(shop)
    told = feedback.propose(shop, finding="F6")
    assert state_of(shop) == before
    assert (told.added, told.runs, told.total) == (["F6"], ["R3"], 2)
    by_name = {one.finding: one for one in told.moved}
    assert by_name["F6"].after == pytest.approx(2 * by_name["F6"].before, rel=0.01)
    assert told.threshold_after >= told.threshold_before
    assert "With 1 false alarm counting as normal" in told.sentence


def test_an_applied_proposal_moves_findings_samples_and_ranks_at_once(shop):
    shop.store.label("F6", "normal")
    proposal = feedback.propose(shop, finding="F6")
    revision = feedback.apply(shop, proposal, why="lamp")
    finding, sample = shop.store.finding("F6"), shop.store.samples("R3")[9]
    assert finding.p_value == sample.p_value == proposal.moved[0].after
    assert finding.fitted_p == proposal.moved[0].before
    assert (revision.id, revision.findings) == ("C1", ["F6"])
    assert shop.store.run("R3").info["revision_sha256"] == revision.sha256
    assert shop.store.finding("F1").fitted_p is None
    assert not feedback.propose(shop, "R3").pending


def test_undo_restores_exactly(shop):
    before = state_of(shop)
    shop.store.label("F6", "normal")
    feedback.apply(shop, feedback.propose(shop, finding="F6"))
    assert state_of(shop) != before
    told = feedback.undo(shop)
    assert (told.change.subject, told.sentence) == ("C1", "C1 is withdrawn; the calibration of the fit counts again.")
    assert state_of(shop) == before
    assert feedback.undo(shop).change.subject == "F6"
    assert shop.store.finding("F6").state == "new"


def test_undo_goes_back_to_the_revision_before(shop):
    shop.store.label("F6", "normal")
    feedback.apply(shop, feedback.propose(shop, "R3"))
    first = state_of(shop)
    shop.store.label("F5", "normal")
    feedback.apply(shop, feedback.propose(shop, "R3"))
    assert "C1 counts again" in feedback.undo(shop).sentence
    assert state_of(shop) == first
    with pytest.raises(StoreError, match="undone before"):
        feedback.undo(shop, shop.store.changes(action="recalibrated")[0].id)


def test_stamps_of_a_series_follow_and_come_back(shop):
    before = state_of(shop)
    shop.store.label("F3", "normal")
    feedback.apply(shop, feedback.propose(shop, finding="F3"))
    _, p_values = shop.series_scores("R2")
    assert p_values[61] == pytest.approx(shop.store.finding("F3").p_value)
    assert p_values[61] == shop.detector("R2").p_value(shop.series("R2"))[61]
    assert len(shop.store.run("R2").info["recalibration"]) == 1
    feedback.undo(shop)
    assert state_of(shop) == before


def test_detection_uses_the_revision_says_so_and_can_still_go_back(shop):
    fresh = {s.name: s.p_value for s in shop.store.samples("R3")}
    shop.store.label("F6", "normal")
    revision = feedback.apply(shop, feedback.propose(shop, "R3"))
    run = run_detection(shop, make_sources_once()["table"], "/models/table")
    assert (run.info["revision"], run.info["relabelled"]) == (revision.id, ["F6"])
    assert run.info["threshold"] >= run.info["threshold_before"]
    assert shop.store.samples(run.id)[9].p_value > fresh[shop.store.samples(run.id)[9].name]
    feedback.undo(shop)
    assert {s.name: s.p_value for s in shop.store.samples(run.id)} == fresh
    assert shop.store.run(run.id).info["recalibration"] == []


def test_what_if_uses_the_calibration_in_force(shop):
    assert len(shop.detector("R3").calibrations[None].added) == 0
    shop.store.label("F6", "normal")
    feedback.apply(shop, feedback.propose(shop, "R3"))
    assert len(shop.detector("R3").calibrations[None].added) == 1
    assert len(shop.detector("R2").calibrations[None].added) == 0


def test_a_confirmed_finding_that_would_be_lost_is_named(shop, monkeypatch):
    shop.store.label("F5", "anomaly")
    shop.store.label("F6", "normal")
    monkeypatch.setattr("fakes.FakeCalibration.raised", lambda self, s, p, b: (np.where(self.added.size, 0.5, p), b))
    told = feedback.propose(shop, "R3")
    assert told.lost == ["F5"]
    assert "Confirmed anomalies among them: F5." in told.sentence


def test_a_stale_proposal_is_not_applied(shop):
    shop.store.label("F6", "normal")
    proposal = feedback.propose(shop, "R3")
    shop.store.label("F5", "normal")
    with pytest.raises(AnomalyError, match="look at what would change again"):
        feedback.apply(shop, proposal)
    with pytest.raises(AnomalyError, match="Nothing to apply"):
        feedback.apply(shop, feedback.propose(shop, "R1"))


def test_anomalies_move_nothing(shop):
    shop.store.label("F6", "anomaly")
    told = feedback.propose(shop, finding="F6")
    assert not told.pending
    assert not told.moved


# --- the log and undo -------------------------------------------------------------------------------------------------


def test_every_change_is_logged_with_who_when_why_before_and_after(shop):
    with acting(who="ann", via="page", session="s1"):
        shop.store.label("F6", "normal", "a lamp")
        shop.store.add_incident("two", ["F5", "F6"])
    made, labelled = shop.store.changes()
    assert (labelled.action, labelled.subject, labelled.who, labelled.via) == ("labelled", "F6", "ann", "page")
    assert (labelled.why, labelled.session) == ("a lamp", "s1")
    assert labelled.before == {"label": None, "state": "new", "note": ""}
    assert labelled.after == {"label": "normal", "state": "false alarm", "note": "a lamp"}
    assert (made.action, made.after["findings"]) == ("incident made", 2)
    assert [one.id for one in shop.store.changes("F5")] == [made.id]


def test_the_log_cannot_be_altered(shop):
    from sqlalchemy import text

    shop.store.label("F6", "normal")
    for statement in ("DELETE FROM audit", "UPDATE audit SET who = 'x'"):
        with pytest.raises(StoreError, match="append only"), shop.store.database.write() as session:
            session.execute(text(statement))
    assert len(shop.store.changes()) == 1


def test_undo_takes_one_s_own_change_back_and_names_another_s(shop):
    with acting(who="ann"):
        shop.store.label("F5", "normal")
    with acting(who="bob"):
        shop.store.label("F6", "normal")
    with acting(who="ann"):
        assert feedback.undo(shop).change.subject == "F5"
        with pytest.raises(StoreError, match="the latest change is A2 by bob"):
            feedback.undo(shop)
        feedback.undo(shop, "A2", why="agreed")
    assert shop.store.states() == {"new": 6}
    assert shop.store.changes()[0].why == "agreed"
    assert shop.store.change("A2").undone == "A4"
    with pytest.raises(StoreError, match="nothing to undo"):
        feedback.undo(shop)


def test_a_label_that_was_changed_again_is_not_undone_out_of_turn(shop):
    shop.store.label("F5", "normal")
    shop.store.label("F5", "anomaly")
    with pytest.raises(StoreError, match="undo A2 first"):
        feedback.undo(shop, "A1")
    feedback.undo(shop)
    assert shop.store.finding("F5").state == "false alarm"


def test_an_incident_is_dissolved_again(shop):
    shop.store.label("F5", "anomaly")
    shop.store.add_incident("first", ["F5"])
    shop.store.add_incident("both", ["F5", "F6"])
    feedback.undo(shop)
    assert shop.store.incident("I1").findings == ["F5"]
    assert shop.store.finding("F6").incident is None
    assert shop.store.finding("F6").state == "new"


# --- with real detectors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["table", "series"])
def test_stored_p_values_are_those_that_the_detector_gives_with_the_labels(modality, tiny_table, tiny_series, tmp_path):
    tiny = {"table": tiny_table, "series": tiny_series}[modality]
    workspace = Workspace(Store.open(tmp_path / "store"), Config(pictures=1, device="cpu"))
    fit_model(tiny.normal, tmp_path / "model", modality, "diffusion_time", {"seed": 3})
    run = run_detection(workspace, tiny.test, tmp_path / "model", alpha=0.05)
    before, fitted = state_of(workspace), workspace.detector(run).p_value(tiny.test)
    finding = workspace.store.findings(run.id)[-1]
    workspace.store.label(finding.id, "normal")
    feedback.apply(workspace, feedback.propose(workspace))
    after = workspace.detector(workspace.store.run(run.id)).p_value(tiny.test)
    assert (after >= fitted).all()
    assert (after > fitted).any()
    if modality == "table":
        assert [one.p_value for one in workspace.store.samples(run.id)] == after.tolist()
    else:
        assert workspace.series_scores(run.id)[1] == pytest.approx(after)
    peak = workspace.store.finding(finding.id)
    assert peak.p_value == pytest.approx(after[np.argmin(np.abs(fitted - finding.p_value))])
    feedback.undo(workspace)
    workspace.store.undo_label(workspace.store.changes(action="labelled")[0])
    assert state_of(workspace) == before
