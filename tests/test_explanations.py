"""The tools on what a finding is and whether to believe it, over a small real store of each modality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import TinySet

from assistant.agent import Assistant
from assistant.config import Config
from assistant.evidence import Evidence
from assistant.feedback import own_kinds
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.spread import Spreads
from assistant.tools import call
from detectors.errors import AnomalyError

QUICK = {"device": "cpu", "train_steps": 5, "width": 32, "depth": 1}


@pytest.fixture(scope="module")
def workspace(
    tiny_series: TinySet, tiny_table: TinySet, tiny_images: TinySet, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    folder = tmp_path_factory.mktemp("explained")
    config = Config(store=str(folder / "store"), pictures=0, kinds=str(folder / "kinds"))
    (folder / "kinds").mkdir()
    made = Workspace.open(config, create=True)
    for modality, tiny, alpha in (
        ("series", tiny_series, 0.01),
        ("table", tiny_table, 0.02),
        ("image", tiny_images, 0.05),
    ):
        settings = {**QUICK, "size": 48} if modality == "image" else QUICK
        fit_model(tiny.normal, folder / modality, modality, settings=settings)
        run_detection(made, tiny.test, folder / modality, alpha)
    return made


def worst(workspace: Workspace, run: str) -> str:
    return workspace.store.findings(run, limit=1)[0].id


def values(evidence: Evidence, subject: str) -> dict[str, object]:
    return {fact.field: fact.value for fact in evidence.facts if fact.subject == subject}


@pytest.mark.parametrize("run", ["R1", "R2", "R3"])
def test_every_finding_has_measurements_and_a_kind(workspace: Workspace, run: str) -> None:
    name = worst(workspace, run)
    told = call(workspace, "kind_of_finding", finding=name)
    assert told.status == "ok"
    assert values(told, name)["kind"] == workspace.store.finding(name).kind
    assert 0 <= float(str(values(told, name)["kind_confidence"])) <= 100
    assert call(workspace, "what_differs", finding=name).facts


@pytest.mark.parametrize("run", ["R1", "R2", "R3"])
def test_a_planted_explanation_is_tested_and_kept(workspace: Workspace, run: str) -> None:
    name = worst(workspace, run)
    told = values(call(workspace, "test_explanation", finding=name), name)
    assert float(str(told["named_repaired_p_value"])) > float(str(told["p_value"]))
    assert told["random_returns"] == 0
    assert (workspace.store.finding(name).folder / "test.json").is_file()
    assert values(call(workspace, "test_explanation", finding=name), name) == told


@pytest.mark.parametrize("run", ["R1", "R2", "R3"])
def test_the_nearest_normals_are_told_with_what_is_usual(workspace: Workspace, run: str) -> None:
    name = worst(workspace, run)
    evidence = call(workspace, "nearest_normals", finding=name, limit=2)
    distances = [float(str(values(evidence, f"{name}/normal {n}")["distance"])) for n in (1, 2)]
    assert 0 < distances[0] <= distances[1]
    assert len(evidence.pictures) == (2 if run == "R3" else 0)


def test_the_torn_channel_is_traced_and_rows_have_no_onset(workspace: Workspace) -> None:
    name = worst(workspace, "R1")
    traced = call(workspace, "trace_event", finding=name)
    assert values(traced, name)["first_channel"] == "current_a"
    onset = int(str(values(traced, f"{name}/channel current_a")["onset"]))
    assert abs(onset - 200) < 20
    assert call(workspace, "trace_event", finding=worst(workspace, "R2")).status == "no_data"


def test_findings_of_one_cause_make_one_group(workspace: Workspace) -> None:
    told = call(workspace, "group_findings", run="R2")
    largest = values(told, "R2/group 1")
    assert largest["place"] == "amount"
    assert int(str(largest["findings"])) >= 3
    members = [workspace.store.finding(name) for name in str(largest["members"]).split(", ")]
    assert len({finding.kind for finding in members} - {"unclear"}) == 1
    assert "findings" in values(told, "R2")


def test_findings_are_listed_by_kind(workspace: Workspace) -> None:
    kinds = workspace.store.kinds("R2")
    first = next(iter(kinds))
    listed = call(workspace, "list_findings", run="R2", kind=first)
    assert values(listed, "R2")["matching"] == kinds[first]
    overview = call(workspace, "overview", run="R2")
    assert values(overview, f"R2/kind {first}")["findings"] == kinds[first]


def test_a_kind_of_ones_own_is_made_from_findings_and_named_at_once(workspace: Workspace) -> None:
    some = [finding.id for finding in workspace.store.findings("R2", limit=3)]
    file = own_kinds.make_kind(workspace, "sixfold amount", some, "Six times too much.")
    assert Path(workspace.config.kinds) in file.parents
    own_kinds.name_again(workspace, "R2")
    assert workspace.store.finding(some[0]).kind == "sixfold amount"
    assert values(call(workspace, "kind_of_finding", finding=some[1]), some[1])["kind"] == "sixfold amount"
    with pytest.raises(AnomalyError, match="one modality"):
        own_kinds.make_kind(workspace, "mixed", [some[0], worst(workspace, "R3")])


TALK = {
    "R1": ("which channel started it in {f}?", "when was {f}?"),
    "R2": ("group the findings of R2", "list the broken relations of R2", "what was flagged in R2?"),
    "R3": ("is {f} a scratch?", "where is {f}?"),
}


@pytest.mark.parametrize("run", TALK)
def test_the_narrator_tells_all_of_it_and_loses_no_sentence(workspace: Workspace, run: str) -> None:
    name = worst(workspace, run)
    assistant = Assistant(workspace, thread=f"talk {run}")
    questions = ("what kind of anomaly is {f}?", "what differs in {f}?", "is the explanation of {f} right?",
                 "what are the nearest normal samples of {f}?", *TALK[run])  # fmt: skip
    tools = set()
    for question in questions:
        answer = assistant.ask(question.format(f=name))
        assert (answer.removed, answer.notices) == ((), ()), (question, answer.text, answer.removed)
        assert "[E" in answer.text, (question, answer.text)
        tools |= {step.tool for step in answer.steps}
    assert {"kind_of_finding", "what_differs", "test_explanation", "nearest_normals"} <= tools


# --- several parts ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def press(tiny_multimodal: TinySet, tiny_images: TinySet, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("press")
    made = Workspace.open(Config(store=str(folder / "store"), pictures=0), create=True)
    fit_model(tiny_multimodal.normal, folder / "parts", "multimodal", "smoothed_density")
    run_detection(made, tiny_multimodal.test, folder / "parts", 0.01)
    fit_model(tiny_images.normal, folder / "images", "image", settings={**QUICK, "size": 48})
    run_detection(made, tiny_images.test, folder / "images", 0.05)
    return made


def torn(press: Workspace) -> str:
    """The event in which one channel was torn from the other."""
    return next(one.id for one in press.store.findings("R1") if one.index <= 55 and one.parts)


def test_a_finding_of_several_parts_is_tested_on_its_guilty_channel(press: Workspace) -> None:
    name = torn(press)
    told = values(call(press, "test_explanation", finding=name), name)
    assert told["named_repaired_p_value"] > press.store.finding(name).p_value
    assert told["necessary"] is True
    assert told["random_places"] > 0
    assert told["random_returns"] == 0
    assert told["named_size"] < 25


def test_a_stretch_of_steps_is_repaired_in_all_guilty_parts_or_in_one_channel(press: Workspace) -> None:
    name = torn(press)
    for part in (None, "sensors current_a"):
        tried = call(press, "what_if_repaired", finding=name, rows=[48, 63], **({"part": part} if part else {}))
        assert values(tried, name)["after_p_value"] > values(tried, name)["before_p_value"]
    assert call(press, "what_if_repaired", finding=name, rows=[900, 910]).status == "error"


def test_what_is_usual_of_the_parts_channels_is_kept_beside_the_run(press: Workspace) -> None:
    spreads, torn_steps = Spreads(press.store), slice(50, 62)
    found = spreads.of_channels("R1", ("sensors force_kn", "sensors current_a"))
    away = np.abs(found[:, 1] - 0.5 * found[:, 0])
    assert 0 < len(found) < 160 - len(range(*torn_steps.indices(160)))
    assert away.max() < 20  # none of the torn steps is among them, they are 30 off
    assert spreads.of_channels("R1", ("sensors force_kn", "no such")) is None


def test_a_channel_of_a_part_and_the_pictures_of_a_part_can_be_repaired_by_name(press: Workspace) -> None:
    name = torn(press)
    channel = call(press, "what_if_repaired", finding=name, part="sensors current_a")
    assert values(channel, name)["after_score"] < values(channel, name)["before_score"]
    assert call(press, "what_if_repaired", finding=name, part="camera grey level").status == "ok"
    with Assistant(press, thread="repair") as assistant:
        answer = assistant.ask(f"what if I repair sensors current_a in {name}?")
    assert "with sensors current_a made normal" in answer.text


def test_an_incident_over_two_modalities_calls_each_place_by_its_own_name(press: Workspace) -> None:
    both = [torn(press), worst(press, "R2")]
    told = call(press, "summarise_incident", findings=both)
    places = {fact.subject.partition("/")[2] for fact in told.facts if "/" in fact.subject}
    assert any(place.startswith("channel sensors") for place in places)
    assert any(place.startswith("position ") for place in places)
    assert not any("channel region" in place for place in places)
