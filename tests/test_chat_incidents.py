"""The Incidents tab without a browser: groups, titles, summaries as they grow, edits, reports."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from shop import open_shop

from assistant.chat.page import Page
from assistant.chat.queue import found
from assistant.chat.session import Session

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(tmp_path, monkeypatch):
    return Page(open_shop(tmp_path, monkeypatch), "narrator")


@pytest.fixture
def session(page) -> Session:
    return page.load(None, SimpleNamespace(query_params={"run": "R1"}))[0]


def event(**data) -> gr.EventData:
    return gr.EventData(None, data)


def names(page) -> list[str]:
    return [finding.id for finding in page.workspace.store.findings("R1")]


@pytest.fixture
def made(page, session) -> Session:
    page.case_made(session, event(findings=names(page)))
    return session


def test_without_incidents_the_tab_says_how_to_make_one_and_offers_groups(page, session):
    _, listed, head, text = page.cases_shown(session)
    assert "None yet" in listed
    assert f'data-accept="{" ".join(sorted(names(page)))}"' in listed
    assert "No incident is open" in head
    assert text == ""


def test_chosen_findings_become_an_incident_with_its_members(page, made):
    _, listed, head, text = page.cases_shown(made)
    assert 'data-incident="I1"' in listed
    assert all(f'href="#{name}"' in head for name in names(page))
    assert "Nobody has written a summary yet" in text
    assert all(page.workspace.store.finding(name).state == "in incident" for name in names(page))
    filters, queue = page.requeued(made)
    assert "I1" in filters
    assert "in incident" in queue
    assert page.workspace.store.changes()[0].via == "page"


def test_nothing_chosen_is_said_in_one_sentence(page, session):
    with pytest.raises(gr.Error, match="No finding is chosen"):
        page.case_made(session, event(findings=[]))
    with pytest.raises(gr.Error, match="There is no finding F999"):
        page.case_made(session, event(findings=["F999"]))
    with pytest.raises(gr.Error, match="No incident is open"):
        page.case_report(session, event(form="html"))


def test_title_members_and_the_whole_can_be_changed(page, made):
    _, listed, head, _ = page.case_changed(made, event(title=EVIL))
    assert EVIL not in listed + head
    first, *rest = names(page)
    _, _, head, _ = page.case_changed(made, event(release=first))
    assert f'href="#{first}"' not in head
    _, listed, head, _ = page.case_changed(made, event(dissolve=True))
    assert "No incident is open" in head
    assert [page.workspace.store.finding(name).state for name in rest] == ["new"] * len(rest)


def test_the_summary_grows_sentence_by_sentence_and_ends_verified(page, made):
    *growing, last = page.case_written(made)
    lengths = [len(text) for text in growing]
    assert len(growing) > 3
    assert lengths == sorted(lengths)
    assert ">verified<" in last
    assert "Written by narrator" in last
    assert 'href="#E' in last


def test_an_edit_is_marked_as_a_persons_with_what_is_not_held(page, made):
    list(page.case_written(made))
    shown = page.case_edited(made, event(text=f"The belt ran at 42 rpm {EVIL}."))
    assert "Edited by a person" in shown
    assert "1 unverified" in shown
    assert '<mark class="unverified"' in shown
    assert EVIL not in shown


def test_what_goes_wrong_while_writing_is_said_in_its_place(page, made):
    for name in names(page):
        page.workspace.store.add_incident("another", [name])
    assert "holds no findings any more" in list(page.case_written(made))[-1]


def test_the_report_is_handed_out_in_every_form(page, made):
    for form in ("html", "md", "json"):
        out = Path(page.case_report(made, event(form=form)))
        assert out.stem == "incident-I1"
    with zipfile.ZipFile(page.case_report(made, event(form="md"))) as archive:
        inside = archive.namelist()
    assert "incident-I1.md" in inside
    assert any(name.endswith(".png") for name in inside)
    with pytest.raises(gr.Error, match="Reports are written as"):
        page.case_report(made, event(form="exe"))


def test_an_empty_store_offers_the_built_in_case_and_opens_it(tmp_path, monkeypatch):
    from assistant.pipeline import Workspace
    from assistant.store import Store

    full = open_shop(tmp_path, monkeypatch)
    page = Page(Workspace(Store.open(tmp_path / "empty")), "narrator")
    session, *_ = loaded = page.load(None, None)
    assert "data-demo" in loaded[4]
    source, model = full.store.run("R1").source, "/models/image"
    from assistant.pipeline import run_detection

    monkeypatch.setattr("assistant.demo.fill", lambda workspace, tell: run_detection(workspace, source, model))
    page.case_prepared(session)
    job = page.jobs.of(session.reader)[0]
    while not job.ended:
        time.sleep(0.01)
    told = page.ticked(session)
    assert (session.run, session.focus) == ("R1", "F1")
    assert "F1" in told[-5]
    assert "Three things to try" in told[-1]


def test_a_new_talk_offers_three_things_to_try(page, session):
    assert page.suggest(session).count("data-ask") == 3
    assert "Three things to try" in page.suggest(session)


def test_an_incident_over_pictures_and_events_tells_the_places_of_both(page, session):
    store = page.workspace.store
    page.case_made(session, event(findings=[*names(page), *(one.id for one in store.findings("R2"))]))
    head = page.cases_shown(session)[2]
    assert "in images, " in head
    assert "in series" in head
    assert "region 1 (" not in head  # what pictures share are positions


def test_one_finding_is_one(page):
    shown = page.desk.queue.filters("R1", {})
    store = page.workspace.store
    run = store.run("R1")
    assert f"{run.n_flagged} findings" in shown
    assert found(1) == "1 finding"
