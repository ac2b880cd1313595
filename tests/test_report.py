"""Reports: whole, safe, and every figure traced to its evidence."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from shop import open_shop

from assistant.report import gathering as report_data
from assistant.report import write_report
from assistant.report.check import check_report
from assistant.report.facts import Ledger, shown
from assistant.report.reasons import checks
from detectors.errors import AnomalyError


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


def finding_of(shop, modality: str) -> str:
    return next(f.id for f in shop.store.findings(limit=None) if f.modality == modality)


def html(shop, tmp_path, **about) -> str:
    return write_report(shop, tmp_path / "r.html", **about).read_text()


@pytest.mark.parametrize("modality", ["image", "series", "table"])
def test_every_mark_leads_to_evidence(shop, tmp_path, modality):
    text = html(shop, tmp_path, findings=[finding_of(shop, modality)])
    marks = set(re.findall(r'href="#(E\d+)"', text))
    assert marks
    assert marks <= set(re.findall(r'id="(E\d+)"', text))


def test_a_html_report_needs_nothing_from_outside(shop, tmp_path):
    text = html(shop, tmp_path, findings=[finding_of(shop, "image")])
    assert "data:image/png;base64," in text
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)


def test_the_p_value_in_a_report_is_the_one_in_its_evidence(shop, tmp_path):
    name = finding_of(shop, "table")
    told = json.loads(write_report(shop, tmp_path / "r.json", findings=[name]).read_text())
    described = next(e for e in told["evidence"] if e["tool"] == "describe_finding")
    facts = {f["field"]: f["value"] for f in described["facts"] if f["subject"] == name}
    assert facts["p_value"] == shop.store.finding(name).p_value
    assert told["findings"][0]["described"] == described["id"]


def test_a_report_says_how_it_was_measured(shop, tmp_path):
    text = html(shop, tmp_path, findings=[finding_of(shop, "image")])
    for told in ("How it was measured", "alpha", "/models/image", "small.png", "broken.png"):
        assert told in text


def test_names_from_data_stay_text(shop, tmp_path, monkeypatch):
    evil = '<img src=x onerror="alert(1)">|`{{ 7*7 }}`'
    known = shop.store.finding
    monkeypatch.setattr(shop.store, "finding", lambda name: replace(known(name), sample=evil, note=evil))
    name = finding_of(shop, "image")
    assert "<img src=x" not in html(shop, tmp_path, findings=[name])
    written = write_report(shop, tmp_path / "r.md", findings=[name]).read_text()
    assert "<img src=x" not in written
    assert "49" not in written.split("## Evidence")[0].split("\n")[0]


def test_markdown_has_its_pictures_beside_it(shop, tmp_path):
    name = finding_of(shop, "image")
    text = write_report(shop, tmp_path / "r.md", findings=[name]).read_text()
    pictures = re.findall(r"!\[.*?\]\((.+?)\)", text)
    assert len(pictures) == 3
    assert all((tmp_path / picture).is_file() for picture in pictures)


def test_an_incident_is_reported_with_all_its_findings(shop, tmp_path):
    names = [f.id for f in shop.store.findings("R1")]
    incident = shop.store.add_incident("squares on the line", names, "seen at night")
    text = html(shop, tmp_path, incident=incident.id)
    assert "squares on the line" in text
    assert "seen at night" in text
    assert all(f'id="{name}"' in text for name in names)


def test_without_a_subject_the_latest_run_is_reported(shop, tmp_path):
    text = html(shop, tmp_path)
    assert all(f'id="{f.id}"' in text for f in shop.store.findings("R3"))


def test_long_reports_describe_the_first_and_list_the_others(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(report_data, "DETAILED", 1)
    first, second = (f.id for f in shop.store.findings("R1", limit=2))
    text = html(shop, tmp_path, findings=[first, second])
    assert f'id="{first}"' in text
    assert f'id="{second}"' not in text
    assert second in text


def test_a_detector_that_is_gone_is_said_and_the_rest_is_written(shop, tmp_path, monkeypatch):
    def gone(run):
        raise AnomalyError("There is no model folder '/models/image'.")

    monkeypatch.setattr(shop, "detector", gone)
    name = shop.store.findings("R1", limit=2)[1].id  # only the first was explained at detection
    assert "There is no model folder" in html(shop, tmp_path, findings=[name])


@pytest.mark.parametrize(
    ("name", "told"),
    [("r.docx", ".json"), ("report", "'nothing'")],
)
def test_other_forms_are_refused_with_advice(shop, tmp_path, name, told):
    with pytest.raises(AnomalyError, match=told):
        write_report(shop, tmp_path / name)


def test_an_unknown_finding_is_named(shop, tmp_path):
    with pytest.raises(AnomalyError, match="There is no finding F999"):
        write_report(shop, tmp_path / "r.html", findings=["F999"])


def test_a_pdf_report_holds_text_links_and_pictures(shop, tmp_path):
    written = write_report(shop, tmp_path / "r.pdf", findings=[f.id for f in shop.store.findings(limit=None)][:4])
    data = written.read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.count(b"/Subtype /Image") >= 2
    assert b"/Link" in data


@pytest.mark.parametrize("suffix", [".html", ".md", ".json"])
def test_a_fresh_report_holds_and_a_changed_one_does_not(shop, tmp_path, suffix):
    name = finding_of(shop, "table")
    written = write_report(shop, tmp_path / f"r{suffix}", findings=[name])
    checked = check_report(shop, written)
    assert checked.holds, checked.differences
    assert checked.figures > 20
    assert checked.scored == 1
    p_value = shown(find_fact(shop, name))
    written.write_text(written.read_text().replace(p_value, "0.1234"))
    assert any("0.1234" in one.report for one in check_report(shop, written).differences)


def find_fact(shop, name: str):
    from assistant.evidence import Fact

    return Fact(name, "p_value", shop.store.finding(name).p_value)


def test_a_label_given_later_is_told(shop, tmp_path):
    name = finding_of(shop, "table")
    written = write_report(shop, tmp_path / "r.html", findings=[name])
    shop.store.label(name, "anomaly", "seen", "me")
    told = " ".join(f"{one.report} -> {one.store}" for one in check_report(shop, written).differences)
    assert "confirmed" in told


@pytest.mark.parametrize(("content", "word"), [("<html>hello</html>", "not written by"), (b"\xff\xfe\x00", "not text")])
def test_what_is_no_report_is_told_so(shop, tmp_path, content, word):
    file = tmp_path / "x.html"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AnomalyError, match=word):
        check_report(shop, file)


@pytest.mark.parametrize("modality", ["image", "series", "table"])
def test_what_is_ruled_out_was_measured(shop, tmp_path, modality):
    name = finding_of(shop, modality)
    told = json.loads(write_report(shop, tmp_path / "r.json", findings=[name]).read_text())
    trial = next(e for e in told["evidence"] if e["tool"] == "test_explanation")
    facts = {f["field"]: f["value"] for f in trial["facts"]}
    said = " ".join(one["text"] for one in told["findings"][0]["ruled_out"] if one["evidence"] == trial["id"])
    assert ("more than the named places" in said) == facts["sufficient"]
    assert ("another place explains it" in said) == facts["necessary"]


def test_only_the_first_findings_are_put_to_the_test(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(report_data, "TESTED", 1)
    names = [f.id for f in shop.store.findings("R1", limit=2)]
    told = json.loads(write_report(shop, tmp_path / "r.json", findings=names).read_text())
    tested = [e["arguments"]["finding"] for e in told["evidence"] if e["tool"] == "test_explanation"]
    assert tested == names[:1]


def test_a_kind_brings_its_checks(shop, tmp_path):
    name = finding_of(shop, "series")
    finding = replace(shop.store.finding(name), kind="spike")
    assert next(one.text for one in checks(Ledger(shop), finding)).startswith("Is the same spike seen")
    assert checks(Ledger(shop), replace(finding, kind="unclear")) == []
