"""Models by name, calls written as text, and a real transformers model of random weights in this process."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from scripted import openai_server

from assistant.config import Config
from assistant.llm import get_model, without_secrets
from assistant.llm.toolcalls import without_thoughts, written_calls
from detectors.errors import AnomalyError

TOOLS = {"explain_finding", "overview"}
TEMPLATE = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>\n{% "
    "endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def explain_finding(finding: str) -> str:
    """Why a finding was flagged."""
    return finding


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    """A Qwen2 model of two small layers with random weights and a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters]
    plain = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Qwen2Config(
        vocab_size=len(tokens),
        **sizes,
        num_key_value_heads=2,
        max_position_embeddings=32768,
        eos_token_id=2,
        pad_token_id=0,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["gpt-4", "openai:", "local:"])
def test_a_name_that_is_not_understood_is_one_sentence(spec):
    with pytest.raises(AnomalyError, match="is not understood; use narrator, local:FOLDER or provider:name"):
        get_model(spec)


def test_an_unknown_provider_is_one_sentence():
    with pytest.raises(AnomalyError, match="provider 'acme' is unknown"):
        get_model("acme:one")


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("langchain_anthropic"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AnomalyError, match=r"run: pip install 'anomaly-assistant\[anthropic\]'"):
        get_model("anthropic:claude")


def test_a_missing_key_names_the_variable(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANOMALY_API_KEY", raising=False)
    with pytest.raises(AnomalyError, match="set OPENAI_API_KEY or ANOMALY_API_KEY in the environment"):
        get_model("openai:gpt-4o-mini")


def test_a_server_of_ones_own_needs_no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with openai_server([{"content": "Hello."}]) as (url, requests):
        reply = get_model("openai:tiny", Config(base_url=url)).invoke("hi")
    assert reply.text == "Hello."
    assert requests[0]["model"] == "tiny"


def test_the_key_of_the_project_goes_to_the_provider(monkeypatch):
    monkeypatch.setenv("ANOMALY_API_KEY", "sk-of-the-project")
    with openai_server([{"content": "Hello."}]) as (url, requests):
        get_model("openai:tiny", Config(base_url=url)).invoke("hi")
    assert requests[0]["authorization"] == "Bearer sk-of-the-project"


def test_secrets_are_blanked_out(monkeypatch):
    monkeypatch.setenv("OTHER_TOKEN", "abcdefgh")
    text = without_secrets("key sk-proj-1234567890, abcdefgh, http://me:pass@host/v1, Bearer xyz.123")
    assert text == "key ***, ***, http://***@host/v1, Bearer ***"


# --- calls written as text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "explain_finding", "arguments": {"finding": "F1"}}\n</tool_call>',
        'Sure.<tool_call>{"name": "explain_finding", "arguments": "{\\"finding\\": \\"F1\\"}"}',
        '[TOOL_CALLS] [{"name": "explain_finding", "arguments": {"finding": "F1"}}]',
        '<function=explain_finding>{"finding": "F1"}</function>',
        '{"name": "explain_finding", "parameters": {"finding": "F1",}}',
        '{"type": "function", "function": {"name": "explain_finding", "arguments": {"finding": "F1"}}}',
        "<|python_tag|>{'name': 'explain_finding', 'args': {'finding': 'F1'}}",
        'explain_finding(finding="F1")',
    ],
)
def test_calls_are_found_in_every_usual_spelling(text):
    assert [(c.name, c.arguments) for c in written_calls(text, TOOLS)] == [("explain_finding", {"finding": "F1"})]


@pytest.mark.parametrize(
    "text",
    [
        "F1 is anomalous [E1].",
        'The note says {"name": "other", "arguments": {}}.',
        '{"name": "unknown", "arguments": {}}',
        "os.system(cmd='ls')",
        "f(x=1)",
    ],
)
def test_answers_hold_no_calls(text):
    assert written_calls(text, TOOLS) == []


def test_an_unknown_tool_in_a_tag_is_kept_so_that_the_model_can_be_told():
    assert written_calls('<tool_call>{"name": "delete"}</tool_call>', TOOLS)[0].name == "delete"


def test_thoughts_are_no_part_of_an_answer():
    assert without_thoughts("<think>0.5?</think>\nIt is F1.") == "It is F1."
    assert without_thoughts("so 0.5?</think>It is F1.") == "It is F1."
    assert without_thoughts("<think>never ends") == ""


# --- transformers ---------------------------------------------------------------------------------------------------


def test_a_folder_becomes_a_model_that_generates(tiny_folder):
    model = get_model(f"local:{tiny_folder}", Config(max_tokens=12, device="cpu"))
    reply = model.bind_tools([explain_finding]).invoke([SystemMessage("Be short."), HumanMessage("why F1?")])
    assert isinstance(reply, AIMessage)
    assert reply.usage_metadata["output_tokens"] <= 12


def test_the_prompt_holds_tools_calls_and_results(tiny_folder):
    from assistant.llm.local import load

    model = load(str(tiny_folder), device="cpu")
    call = {"name": "explain_finding", "args": {"finding": "F1"}, "id": "1", "type": "tool_call"}
    chat = [
        HumanMessage("why?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("[E1] ...", tool_call_id="1", name="explain_finding"),
    ]
    tools = [{"type": "function", "function": {"name": "explain_finding", "description": "d", "parameters": {}}}]
    prompt = model._render(chat, tools)
    assert "explain_finding" in prompt
    assert '"finding": "F1"' in prompt
    assert "<|im_start|>tool\n[E1]" in prompt
    assert prompt.endswith("<|im_start|>assistant\n")


def test_a_template_without_tools_gets_them_as_text(tiny_folder):
    from assistant.llm.local import load

    model = load(str(tiny_folder), device="cpu")
    kept = model._tokenizer.chat_template
    strict = (
        "{% for m in messages %}{% if m.role not in ('user', 'assistant') %}{{ raise_exception('no') }}{% endif %}"
        "[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    )
    try:
        model._tokenizer.chat_template = strict
        tools = [
            {"type": "function", "function": {"name": "overview", "description": "what was flagged", "parameters": {}}}
        ]
        prompt = model._render([SystemMessage("S"), HumanMessage("why?")], tools)
    finally:
        model._tokenizer.chat_template = kept
    assert prompt.startswith("[user] S\nTools:\n- overview: what was flagged")
    assert "<tool_call>" in prompt


def test_calls_are_read_off_the_generated_text(tiny_folder):
    from assistant.llm.local import load

    tools = [{"type": "function", "function": {"name": "overview", "parameters": {}}}]
    message = load(str(tiny_folder), device="cpu")._parse(
        'I look.<tool_call>{"name": "overview", "arguments": {}}</tool_call><|im_end|>', "", tools
    )
    assert message.content == "I look."
    assert message.tool_calls[0]["name"] == "overview"


def test_a_conversation_too_long_for_the_model_is_one_sentence(tiny_folder):
    from assistant.llm.local import load

    model = load(str(tiny_folder), device="cpu")
    limit, model._model.config.max_position_embeddings = model._model.config.max_position_embeddings, 8
    try:
        with pytest.raises(AnomalyError, match="reads at most 8"):
            model.invoke("a long question about findings")
    finally:
        model._model.config.max_position_embeddings = limit


def test_no_such_folder_is_one_sentence():
    with pytest.raises(AnomalyError, match=r"There is no model folder './nowhere'"):
        get_model("local:./nowhere")


def test_a_hub_id_that_cannot_be_had_is_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(AnomalyError, match="neither a folder nor in the local cache"):
        get_model("local:acme/no-such-model")


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(AnomalyError, match="holds no usable language model"):
        get_model(f"local:{tmp_path}")


def test_a_model_without_a_chat_template_is_one_sentence(tiny_folder, tmp_path):
    for file in tiny_folder.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(AnomalyError, match="has no chat template"):
        get_model(f"local:{tmp_path}")


def test_random_weights_still_end_in_a_checked_answer(tiny_folder, tmp_path, monkeypatch):
    from shop import open_shop

    from assistant.agent import Assistant

    workspace = open_shop(tmp_path, monkeypatch)
    workspace.config = replace(workspace.config, device="cpu", max_tokens=24, timeout=60.0)
    answer = Assistant(workspace, f"local:{tiny_folder}").ask("why is F1 anomalous?")
    assert answer.model == "narrator"
    assert answer.notices[0].startswith("The language model local:")
    assert answer.claims
    workspace.store.close()
