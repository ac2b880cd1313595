"""A real language model, trained by this project, driven locally and through a server: loop, parser, check."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from shop import open_shop

from assistant.agent import Assistant
from assistant.config import Config
from assistant.evals.asking import conversations
from assistant.evals.drafts import Overheard, drafts_of
from assistant.evals.made_stores import build
from assistant.evals.tiny import WEIGHTS, tokens, train
from assistant.evals.tiny.dialogue import dialogue, phrases, spell, taught
from assistant.evaluate import Case, Outcome, Reply, load_cases
from assistant.llm import get_model
from assistant.llm.constrained import HeldCalls, call_pattern, writes_json
from assistant.llm.toolcalls import written_calls

EVALS = Path(__file__).parent / "evals"
TOOLS = [convert_to_openai_tool(tool) for tool in build("parts").tools([])]
SPECK = (16, 1, 2, 32)  # the sizes of a model for tests of the training itself
MOST_TOKENS = 160  # of a reply
MOST_BYTES = 6_000_000
ASKED = {  # by store: questions in one conversation
    "parts": ("what was flagged?", "explain F4", "compare F3 and F5"),
    "payments": ("is row 12 normal?", "why is F1 flagged?"),
}


# --- dialogues ----------------------------------------------------------------------------------------------------


def test_dialogues_are_the_same_for_a_seed_and_their_answers_hold():
    one, two = ([dialogue(random.Random(seed), 2) for seed in range(40)] for _ in range(2))
    assert one == two
    calls = [call["function"]["name"] for talk in one for message in talk for call in message.get("tool_calls", ())]
    assert len(set(calls)) >= 10
    assert any("{{E" in talk[-1]["content"] for talk in one)


def test_patterns_spell_questions():
    assert spell("(why|how) is {x}(|?)", random.Random(0)) in {"why is {x}", "why is {x}?", "how is {x}", "how is {x}?"}
    assert taught("Why is F3 anomalous?")
    assert not taught("kindly elaborate on the third casualty")
    assert all("(" not in spell(one, random.Random(0)) for group in phrases().values() for one in group)


def test_most_held_out_questions_are_in_words_that_were_never_trained_on():
    held = [case.question for name in ("paraphrases",) for case in load_cases(EVALS / f"{name}_held_out.yaml")]
    assert sum(not taught(question) for question in held) > len(held) / 2


def test_only_calls_and_the_last_answer_are_learnt():
    tokenizer = train._tokenizer(train.Plan(), WEIGHTS)
    talk = dialogue(random.Random(3), 2)
    ids, learnt = tokens.encode(tokenizer, talk)
    text = tokenizer.decode([token for token, one in zip(ids, learnt, strict=True) if one])
    assert text.endswith(talk[-1]["content"] + tokens.END)
    assert text.count(tokens.CALL) == sum(len(message.get("tool_calls", ())) for message in talk)
    assert tokenizer.apply_chat_template(talk, tokenize=False) == tokens.text_of(talk) == tokenizer.decode(ids)


def test_training_goes_on_where_it_stopped_and_learns(tmp_path, monkeypatch):
    monkeypatch.setitem(train.SIZES, "speck", SPECK)
    monkeypatch.setattr(train, "CHUNK", 16)
    plan = train.Plan("speck", steps=8, tokens=1024)
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    for folder in (whole, pieces):
        folder.mkdir()
    assert train.Trainer(plan, whole).run(10)
    while not (trainer := train.Trainer(plan, pieces)).run(0):
        pass
    trainer.save()
    reply = get_model(f"local:{pieces}", Config(max_tokens=4, device="cpu")).invoke("hi")
    assert reply.usage_metadata["output_tokens"] <= 4
    one, two = (train.Trainer(plan, folder).model.state_dict() for folder in (whole, pieces))
    assert all(one[name].equal(two[name]) for name in one)


# --- calls are held to the tools ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        '{"name": "overview", "arguments": {}}</tool_call>',
        '\n{"name": "compare_findings", "arguments": {"second": "F1", "first": "F2"}}\n</tool_call>',
        '{"name": "list_findings", "arguments": {"limit": 3, "descending": true, "max_p": 1e-3}}</tool_call>',
        '{"name":"summarise_incident","arguments":{"findings":["F1","F2"]}}</tool_call>',
        '{"name": "label_finding", "arguments": {"note": "a \\"b\\"", "label": "normal", "finding": "F1"}}</tool_call>',
    ],
)
def test_valid_calls_can_be_written_letter_by_letter(call):
    pattern = call_pattern(TOOLS)
    assert all(pattern.fullmatch(call[:end], partial=True) for end in range(len(call) + 1))
    assert pattern.fullmatch(call)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "delete_all',
        '{"name": "overview", "arguments": {"finding',
        '{"name": "overview"}',
        '{"name": "list_findings", "arguments": {"limit": "',
        '{"name": "compare_findings", "arguments": {"first": "F1"}',
        '{"name": "explain_finding", "arguments": {}',
        "Well, ",
    ],
)
def test_what_can_become_no_call_is_told_at_once(text):
    assert not call_pattern(TOOLS).fullmatch(text, partial=True)


@pytest.mark.parametrize("seed", range(3))
def test_a_model_of_random_weights_writes_valid_calls(seed, monkeypatch):
    import torch

    tokenizer = train._tokenizer(train.Plan(), WEIGHTS)
    monkeypatch.setitem(train.SIZES, "speck", SPECK)
    torch.manual_seed(seed)
    model = train.new_model("speck", len(tokenizer)).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(30)  # strong opinions
    start = tokenizer(f"{tokens.USER}why F3?{tokens.END}{tokens.ASSISTANT}", return_tensors="pt")["input_ids"]
    opened = torch.cat([start, torch.tensor([[tokenizer.convert_tokens_to_ids(tokens.CALL)]])], dim=1)
    short = [tool for tool in TOOLS if "array" not in str(tool)]  # lists of long strings take their time
    held = HeldCalls(tokenizer, call_pattern(short), start.shape[1])
    for _ in range(900):
        with torch.inference_mode():
            scores = held(opened, model(opened[:, -64:]).logits[:, -1])
        opened = torch.cat([opened, scores.argmax(dim=1, keepdim=True)], dim=1)
        if (text := tokenizer.decode(opened[0, start.shape[1] :])).endswith(tokens.CALLED):
            break
    (call,) = written_calls(text, ())
    schema = next(tool["function"]["parameters"] for tool in TOOLS if tool["function"]["name"] == call.name)
    assert set(schema.get("required", ())) <= set(call.arguments) <= set(schema["properties"])


def test_templates_with_other_tags_are_left_alone():
    assert writes_json("...<tool_call>{...}</tool_call>")
    assert writes_json("a template that knows of no such thing")
    assert not writes_json("{% if tools %}<tool_call><function=name>")
    assert not writes_json("{% if tools %}[TOOL_CALLS]")


# --- the trained model --------------------------------------------------------------------------------------------


def test_the_weights_are_small():
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < MOST_BYTES


@pytest.fixture(scope="module")
def asked_locally():
    """What the trained model made of some questions, with all that it wrote on the way."""
    return _asked(Overheard(inner=get_model(f"local:{WEIGHTS}", Config(device="cpu", max_tokens=MOST_TOKENS))))


def test_it_mostly_calls_the_right_tool_with_what_was_asked_for(asked_locally):
    wanted = {
        "what was flagged?": [("overview", {}), ("list_findings", {})],
        "explain F4": [("explain_finding", {"finding": "F4"})],
        "compare F3 and F5": [("compare_findings", {"first": "F3", "second": "F5"})],
        "is row 12 normal?": [("find_sample", {"name": "row 12"})],
        "why is F1 flagged?": [("explain_finding", {"finding": "F1"})],
    }
    made = {
        question: [(call["name"], call["args"]) for one in heard for call in one.tool_calls]
        for question, _, heard in asked_locally
    }
    assert sum(any(call in made[question] for call in calls) for question, calls in wanted.items()) >= 2


def test_every_question_ends_in_an_answer_that_the_evidence_holds(asked_locally):
    assert all(_holds(reply) for _, reply, _ in asked_locally)


def test_what_it_invents_no_reader_sees(asked_locally):
    """The model is made to err: its memory of the results is spoilt, so that it has to guess."""
    model = get_model(f"local:{WEIGHTS}", Config(device="cpu", max_tokens=MOST_TOKENS))
    ear = Overheard(inner=_Forgetful(inner=model))
    drafts, seen = 0, []
    for question, reply, heard in _asked(ear, {"parts": ASKED["parts"][2:]}):
        outcome = Outcome(Case("made", question), reply, (), (), (), 0.0)
        drafts += drafts_of(outcome, heard).numbers
        seen.append(_holds(reply))
    assert drafts > 0
    assert all(seen)


def test_it_answers_over_a_real_store(tmp_path, monkeypatch):
    workspace = open_shop(tmp_path, monkeypatch)
    workspace.config = replace(workspace.config, device="cpu", max_tokens=MOST_TOKENS, timeout=60.0)
    with Assistant(workspace, f"local:{WEIGHTS}") as assistant:
        answer = assistant.ask("explain F1")
    workspace.store.close()
    assert (answer.steps[0].tool, answer.steps[0].arguments) == ("explain_finding", {"finding": "F1"})
    assert answer.claims
    assert "narrator" not in answer.model or answer.notices[0].startswith("The language model local:")


def test_a_server_and_its_client_lead_to_the_same_answers(asked_locally):
    with _server() as url:
        model = get_model(f"openai:{WEIGHTS}", Config(base_url=url, timeout=180.0, max_tokens=MOST_TOKENS))
        found = _asked(Overheard(inner=model), {"parts": ASKED["parts"][:2]})
    assert [reply.text for _, reply, _ in found] == [reply.text for _, reply, _ in asked_locally[:2]]
    assert any(message.tool_calls for _, _, heard in found for message in heard)


class _Forgetful(Overheard):
    """A model that is shown other numbers than the tools gave."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        shown = [
            message.model_copy(update={"content": re.sub(r"= (\d)", r"= 7\1", message.text)})
            if message.type == "tool"
            else message
            for message in messages
        ]
        return super()._generate(shown, stop, run_manager, **kwargs)


def _asked(model, questions=ASKED):
    found = []
    with conversations(model, fallback=True) as converse:
        for world, some in questions.items():
            ask = converse(world)
            for question in some:
                model.heard.clear()
                found.append((question, ask(question, None), list(model.heard)))
    return found


def _holds(reply: Reply) -> bool:
    """Whether every number of an answer is one of the evidence it cites: a check that is not the product's own."""
    known = {one.id: one for one in (*reply.earlier, *reply.evidence)}
    for sentence in re.split(r"(?<=\])[.,]?\s+", reply.text):
        cited = [known[name] for name in re.findall(r"E\d+", sentence) if name in known]
        values = [fact.value for one in cited for fact in one.facts if isinstance(fact.value, int | float)]
        plain = re.sub(
            r"\[E[\d, E]+\]|\b[FRIE]\d+\b|\w*[_.-]?\d+\.(?:png|csv)|region \d+|row \d+|\d\d:\d\d", "", sentence
        )
        for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", plain):
            if cited and not any(_rounds(value, number) for value in values):
                return False
    return bool(reply.text)


def _rounds(value: float, number: str) -> bool:
    return abs(float(number) - value) <= 0.51 * 10.0 ** -len(number.partition(".")[2])


@contextmanager
def _server():
    """`transformers serve` on the weights, on a port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(WEIGHTS), "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, "--host", "127.0.0.1", "--device", "cpu"], env=settings, **quiet) as process:
        try:
            for _ in range(720):  # the first start of a fresh installation compiles its packages
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.25)
            else:
                pytest.fail("transformers serve did not come up within three minutes.")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
