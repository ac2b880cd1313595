"""Questions about teaching are told from all others by what they say, and answered from the log and the store."""

import pytest
from shop import open_shop

from assistant.agent import Assistant
from assistant.llm.teaching import Lesson, lesson


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("ignore scratches on station 3 until Friday because lamp reflection",
         Lesson("ignore", "scratches", "station 3", False, "Friday", "lamp reflection")),
        ("Please ignore everything in the fee column for two weeks because of refunds.",
         Lesson("ignore", "", "fee column", False, "2 weeks", "refunds")),
        ("mute spikes because of the new pump until 2026-12-31",
         Lesson("ignore", "spikes", "", False, "2026-12-31", "the new pump")),
        ("ignore this kind here until tomorrow since the lens is dirty",
         Lesson("ignore", "", "", True, "tomorrow", "the lens is dirty")),
        ("ignore stains until friday", Lesson("ignore", "stains", "", False, "friday", "")),
        ("undo that", Lesson("undo")),
        ("can you undo the last change?", Lesson("undo")),
        ("take it back", Lesson("undo")),
        ("undo A7", Lesson("undo", change="A7")),
        ("undo the label of F3", Lesson("undo", finding="F3")),
        ("remove rule 2", Lesson("stop_ignoring", rule="rule 2")),
        ("what is being ignored?", Lesson("rules")),
        ("how precise were the alarms last week?", Lesson("precision", time="last week")),
        ("how good have the alarms been?", Lesson("precision")),
        ("who labelled F12 and why?", Lesson("log")),
        ("what has been changed?", Lesson("log")),
        ("recalibrate", Lesson("recalibrate")),
        ("what would my labels change", Lesson("recalibrate")),
        ("should we refit the model?", Lesson("suggest")),
    ],
)  # fmt: skip
def test_lessons_are_understood(text, asked):
    assert lesson(text) == asked


@pytest.mark.parametrize(
    "text",
    [
        "undo the damage and score again", "ignore F3 that is normal", "what if I ignore that scratch?", "ignore it",
        "who are you", "how many false alarms are there", "what changed between R1 and R2", "how good is the detector",
        "ignore that, it is only dust", "take the worst one", "yes", "why was F3 flagged?", "show the rules of thumb",
        "label F3 as normal", "what is the p-value", "how sure are you", "remove the background", "end of the run",
    ],
)  # fmt: skip
def test_other_questions_are_left_alone(text):
    assert lesson(text) is None


def test_agreeing_applies_only_what_was_proposed():
    assert lesson("yes, apply it", "recalibrate") == Lesson("recalibrate", apply=True)
    assert lesson("yes", "similar") is None


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def ask(shop):
    """Ask the narrator; nothing that it says may be removed by the verifier."""
    assistant = Assistant(shop, "narrator", "t")

    def asked(question, focus=None):
        answer = assistant.ask(question, focus=focus)
        assert [(claim.text, claim.reason) for claim in answer.removed] == []
        return answer.text

    return asked


def test_a_rule_is_made_told_and_undone_in_talk(shop, ask):
    assert "Until when?" in ask("ignore everything in fee because of refunds")
    told = ask("ignore anything in the fee column until 2099-12-31 because of 3 refunds")
    assert 'rule 1 ignores anything in fee until 2099-12-31, because of "3 refunds"' in told
    assert "1 finding" in told
    assert "Rule 1 ignores anything in fee" in ask("what is being ignored?")
    assert "is undone" in ask("undo that")
    assert shop.store.rules() == []


def test_this_kind_here_is_that_of_the_finding_in_hand(shop, ask):
    ask("ignore this kind here until 2099-12-31 because of the lamp", focus="F1")
    assert shop.store.rule("1").position == "upper left"


def test_labels_are_told_recalibrated_and_undone_in_talk(shop, ask):
    ask("F6 is a false alarm, it was a refund")
    assert "The reason given was" in ask("who labelled F6 and why?")
    shown = ask("recalibrate")
    assert "If they counted as normal, the threshold would go from" in shown
    assert shop.store.finding("F6").fitted_p is None
    assert "They count as normal now, as C1" in ask("apply it")
    assert shop.store.finding("F6").fitted_p is not None
    assert "C1" in ask("undo that")
    assert shop.store.finding("F6").fitted_p is None


def test_precision_is_told_from_the_labels(shop, ask):
    assert "Nobody has labelled any of these 6 alarms" in ask("how good have the alarms been?")
    shop.store.label("F1", "anomaly")
    shop.store.label("F2", "anomaly")
    shop.store.label("F6", "normal")
    told = ask("how precise were the alarms this month?")
    assert "Of the 3 labelled alarms, 2 were confirmed: a precision of 66.7%, between 20.8% and 93.85%" in told
    assert "recalibrate" in ask("are the labels enough for anything?")
