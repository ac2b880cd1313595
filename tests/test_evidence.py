"""Evidence survives the trip through text, whatever names the data brings along."""

import math

import pytest

from assistant.evidence import (
    Answer,
    Claim,
    Evidence,
    Fact,
    Step,
    format_number,
    is_evidence,
    parse,
    render,
    subjects_of,
)
from detectors.errors import AnomalyError


def test_rendered_evidence_reads_as_the_agreed_lines():
    evidence = Evidence(
        id="E7",
        tool="describe_finding",
        arguments={"finding": "F12"},
        status="ok",
        facts=[
            Fact("F12", "sample", "part_017.png"),
            Fact("F12", "p_value", 0.00040001),
            Fact("F12/region 1", "left", 34, "px"),
        ],
        note="a note",
    )
    assert render(evidence).split("\n") == [
        '[E7] describe_finding(finding="F12") ok',
        'F12.sample = "part_017.png"',
        "F12.p_value = 0.0004",
        "F12/region 1.left = 34 px",
        'note: "a note"',
    ]


@pytest.mark.parametrize(
    "fact",
    [
        Fact("F12", "sample", 'a = 3 "px".png\nF12.p_value = 1'),
        Fact("F1/channel cpu.load", "observed", 0.5, "°C"),
        Fact('F1/channel a.b = 1\nnote: "x"', "expected", None),
        Fact("sample [E9] ok(x) .png", "flagged", True),
        Fact("F1/channel t", "observed", -0.25, "deg C"),
        Fact("note: x", "value", 3),
        Fact("F1/channel \u2028 line", "value", "\u2028\r\n"),
    ],
)
def test_hostile_names_stay_data(fact):
    evidence = Evidence("E1", "t", {"name": 'x", y="z'}, "ok", [fact], subjects_of([fact]), note='note\n"q"')
    assert parse(render(evidence)) == evidence


def test_every_fact_takes_exactly_one_line():
    fact = Fact("sample a\nb", "name", "c\nd")
    assert len(render(Evidence("E1", "t", {}, "ok", [fact])).split("\n")) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0004, "0.0004"), (12.3456, "12.35"), (12345.67, "12346"), (1.23e-7, "1.23e-07"), (math.nan, "NaN"), (5.0, "5")],
)
def test_numbers_keep_four_digits(value, text):
    assert format_number(value) == text


def test_text_that_is_not_evidence_is_refused():
    assert not is_evidence("Hello")
    with pytest.raises(AnomalyError, match="not rendered evidence"):
        parse("Hello")
    with pytest.raises(AnomalyError, match="not a rendered fact"):
        parse("[E1] t() ok\nnonsense")


def test_subjects_are_the_ids_that_facts_are_about():
    facts = [
        Fact("R1", "a", 1),
        Fact("F12/region 1", "left", 2),
        Fact("F12 vs F13", "similarity", 0.5),
        Fact("store", "b", 1),
    ]
    assert subjects_of(facts) == ["R1", "F12"]


def test_an_answer_survives_its_dictionary():
    answer = Answer(
        "x [E1]", (Claim("x", ("E1",)),), (Claim("y", (), "no evidence"),), (Step("t", {"a": 1}, "E1", 0.1, "ok"),)
    )
    assert Answer.from_dict(answer.to_dict()) == answer
