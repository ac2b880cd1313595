"""A transformers model in this process as a chat model with tools.

The tokenizer's chat template renders messages and tools, the model generates, and tool calls are read off the text: by
the tokenizer's own response template where it has one, else from `<tool_call>` tags or JSON. While a call is written in
such tags, it is held to the tools' names and arguments (`constrained`). Knows LangChain messages and transformers; not
prompts, evidence or the store.
"""

from __future__ import annotations

import json
import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from assistant.llm.constrained import HeldCalls, call_pattern, writes_json
from assistant.llm.tool_model import ToolModel
from assistant.llm.toolcalls import written_calls
from detectors.errors import AnomalyError

_KEPT = 1  # models in memory


class LocalModel(ToolModel):
    """Chats with a causal language model from a folder or the hub's local cache."""

    name_or_path: str
    max_new_tokens: int = 1024
    timeout: float = 60.0  # seconds for one reply; generation stops there
    _tokenizer: Any = PrivateAttr()
    _model: Any = PrivateAttr()
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)  # one generation at a time

    def __init__(self, tokenizer: Any, model: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self._tokenizer = tokenizer
        self._model = model

    @property
    def _llm_type(self) -> str:
        return "local"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        tools = kwargs.get("tools") or []
        prompt = self._render(messages, tools)
        text, used = self._complete(prompt, tools)
        message = self._parse(text, prompt, tools)
        message.usage_metadata = {"input_tokens": used[0], "output_tokens": used[1], "total_tokens": sum(used)}
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _render(self, messages: list[BaseMessage], tools: list[dict[str, Any]]) -> str:
        """The prompt text.

        Raises:
            AnomalyError: the template cannot take these messages.
        """
        chat = [_plain(message) for message in messages]
        try:
            return self._template(chat, tools)
        except Exception as first:  # templates are programs of their own and raise what they like
            try:
                return self._template(_simplified(chat, tools), [])
            except Exception as error:
                raise AnomalyError(
                    f"The chat template of {self.name_or_path} cannot take the conversation: {first}"
                ) from error

    def _template(self, chat: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        return self._tokenizer.apply_chat_template(
            chat, tools=tools or None, add_generation_prompt=True, tokenize=False
        )

    def _complete(self, prompt: str, tools: list[dict[str, Any]]) -> tuple[str, tuple[int, int]]:
        """(what the model wrote, (tokens read, tokens written)).

        Raises:
            AnomalyError: the conversation is longer than the model can read.
        """
        import torch
        from transformers import LogitsProcessorList

        inputs = self._tokenizer(prompt, return_tensors="pt", add_special_tokens=False).to(self._model.device)
        length = inputs["input_ids"].shape[1]
        limit = getattr(self._model.config, "max_position_embeddings", None)
        if limit and length >= limit:
            raise AnomalyError(f"The conversation has {length} tokens, and {self.name_or_path} reads at most {limit}.")
        room = min(self.max_new_tokens, limit - length) if limit else self.max_new_tokens
        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else self._tokenizer.eos_token_id
        held = LogitsProcessorList()
        if tools and writes_json(str(self._tokenizer.chat_template)):
            held.append(HeldCalls(self._tokenizer, call_pattern(tools), length))
        with self._lock, torch.inference_mode():
            out = self._model.generate(
                **inputs,
                max_new_tokens=room,
                do_sample=False,
                max_time=self.timeout,
                pad_token_id=pad,
                use_cache=True,
                logits_processor=held,
            )
        written = out[0, length:]
        return self._tokenizer.decode(written, skip_special_tokens=False), (length, len(written))

    def _parse(self, text: str, prompt: str, tools: list[dict[str, Any]]) -> AIMessage:
        """Content and tool calls of a reply."""
        known = {str(tool["function"]["name"]) for tool in tools}
        if getattr(self._tokenizer, "response_template", None) is not None:
            try:
                parsed = self._tokenizer.parse_response(text, prefix=prompt, tools=tools or None)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                parsed = {}
            calls = [call.get("function", call) for call in parsed.get("tool_calls") or [] if isinstance(call, dict)]
            if calls or parsed.get("content"):
                return _message(
                    str(parsed.get("content") or ""), [(c.get("name", ""), c.get("arguments") or {}) for c in calls]
                )
        text = self._without_specials(text)
        calls_ = written_calls(text, known) if tools else []
        for call in calls_:
            text = text.replace(call.raw, "")
        return _message(text.strip(), [(call.name, call.arguments) for call in calls_])

    def _without_specials(self, text: str) -> str:
        """The text without end marks and the like; tool-call tags stay, even where they are special tokens."""
        specials = [
            token for token in self._tokenizer.all_special_tokens if "tool" not in token and "think" not in token
        ]
        return re.sub("|".join(map(re.escape, specials)), "", text) if specials else text


@lru_cache(maxsize=_KEPT)
def load(name_or_path: str, device: str = "auto", max_new_tokens: int = 1024, timeout: float = 60.0) -> LocalModel:
    """The model in a folder, or of a hub id that the local cache holds or the hub gives.

    Raises:
        AnomalyError: it cannot be had, is no chat model, or is damaged.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = Path(name_or_path).expanduser()
    is_folder = where.is_dir()
    if not is_folder and (name_or_path.startswith((".", "/", "~")) or where.exists()):
        raise AnomalyError(f"There is no model folder {name_or_path!r}.")
    if is_folder and not any(where.glob("*.safetensors")) and not any(where.glob("*.bin")):
        raise AnomalyError(f"The folder {name_or_path!r} holds no usable language model: there are no weights in it.")
    source = str(where) if is_folder else name_or_path
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=is_folder)
        if not getattr(tokenizer, "chat_template", None):
            raise AnomalyError(
                f"{name_or_path} has no chat template, so it cannot chat; use an instruction-tuned model."
            )
        model: Any = AutoModelForCausalLM.from_pretrained(source, local_files_only=is_folder, dtype="auto")
    except AnomalyError:
        raise
    except Exception as error:  # missing files, bad JSON, no connection, cut weights: many libraries, many errors
        raise AnomalyError(_not_loaded(name_or_path, is_folder, error)) from error
    return LocalModel(
        tokenizer,
        model.to(_device(device)).eval(),
        name_or_path=name_or_path,
        max_new_tokens=max_new_tokens,
        timeout=timeout,
    )


def _not_loaded(name: str, is_folder: bool, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    if is_folder:
        return f"The folder {name!r} holds no usable language model: {reason}"
    return (
        f"The language model {name!r} is neither a folder nor in the local cache, and the hub could not give it; "
        f"download it "
        f"and name its folder: --llm local:FOLDER. ({type(error).__name__})"
    )


def _device(device: str) -> str:
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _plain(message: BaseMessage) -> dict[str, Any]:
    """A LangChain message in the form that chat templates take."""
    role = {"human": "user", "ai": "assistant"}.get(message.type, message.type)
    entry: dict[str, Any] = {"role": role, "content": message.text}
    if isinstance(message, AIMessage) and message.tool_calls:
        entry["tool_calls"] = [
            {"type": "function", "id": call["id"], "function": {"name": call["name"], "arguments": call["args"]}}
            for call in message.tool_calls
        ]
    if isinstance(message, ToolMessage):
        entry |= {"name": message.name or "", "tool_call_id": message.tool_call_id}
    return entry


def _simplified(chat: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For templates that know neither tools nor system messages: only user and assistant, in turns."""
    lines = [
        f"- {t['function']['name']}: {t['function'].get('description', '')} "
        f"{json.dumps(t['function'].get('parameters', {}))}"
        for t in tools
    ]
    call = 'To call a tool write only: <tool_call>{"name": "...", "arguments": {...}}</tool_call>'
    turns: list[dict[str, Any]] = []
    for entry in chat:
        role = "assistant" if entry["role"] == "assistant" else "user"
        text = entry["content"]
        if entry["role"] == "system" and tools:
            text = "\n".join([text, "Tools:", *lines, call])
        for made in entry.get("tool_calls", ()):
            text += f"<tool_call>{json.dumps(made['function'], ensure_ascii=False)}</tool_call>"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text}"
        else:
            turns.append({"role": role, "content": text})
    return turns


def _message(content: str, calls: list[tuple[str, Any]]) -> AIMessage:
    made = [
        {
            "name": name,
            "args": dict(arguments) if isinstance(arguments, dict) else {},
            "id": f"call_{i}_{abs(hash(name)) % 10**8}",
            "type": "tool_call",
        }
        for i, (name, arguments) in enumerate(calls)
    ]
    return AIMessage(content=content, tool_calls=made)
