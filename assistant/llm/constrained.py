"""Holds a tool call, while a model writes it, to the tools there are: their names, their arguments, valid JSON.

A small model may misspell a name, forget a quote or never close a bracket. Between `<tool_call>` and `</tool_call>`
the likeliest token is taken that can still become a valid call; outside of calls the model writes as it likes. What
can still become valid is asked of one regular expression with partial matching. Knows JSON schemas and tokens; not
tools, prompts or LangChain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

import regex

if TYPE_CHECKING:
    import torch

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_SPACE = r"[ \t\r\n]{0,2}"  # what JSON takes for space
_STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,200}"'
_INTEGER = r"-?(?:0|[1-9]\d{0,15})"
_NUMBER = _INTEGER + r"(?:\.\d{1,15})?(?:[eE][+-]?\d{1,3})?"
_PLAIN = {
    "string": _STRING,
    "integer": _INTEGER,
    "number": _NUMBER,
    "boolean": "(?:true|false)",
    "null": "null",
}
_MOST_ORDERED = 3  # required arguments whose every order is allowed for; with more, none is held to be required
_MOST_ITEMS = 20  # of a list


def writes_json(template: str) -> bool:
    """Whether a chat template has calls written as JSON in tags; some have other tags, or more tags inside.

    One that knows nothing of tools gets them as text (`local`), and this form with them.
    """
    others = any(tag in template for tag in ("<function=", "<arg_key>"))
    return not others and (OPEN in template or "tools" not in template)


def call_pattern(tools: Sequence[dict[str, Any]]) -> regex.Pattern[str]:
    """What may stand behind `<tool_call>`, up to and with its end.

    Args:
        tools: in OpenAI's form, {"type": "function", "function": {"name": ..., "parameters": schema}}.
    """
    calls = []
    for tool in tools:
        made = tool["function"]
        name = regex.escape(json.dumps(str(made["name"])), literal_spaces=True)
        calls.append(_joined([rf'"name"{_SPACE}:{_SPACE}{name}', rf'"arguments"{_SPACE}:{_SPACE}{_arguments(made)}']))
    inner = "|".join(rf"\{{{_SPACE}{call}{_SPACE}\}}" for call in calls)
    return regex.compile(rf"{_SPACE}(?:{inner}){_SPACE}{CLOSE}")


class HeldCalls:
    """A logits processor for greedy decoding of one reply.

    Args:
        tokenizer: the model's.
        pattern: from `call_pattern`.
        start: tokens of the prompt.
    """

    def __init__(self, tokenizer: Any, pattern: regex.Pattern[str], start: int) -> None:
        self._tokenizer, self._pattern, self._start = tokenizer, pattern, start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (1, vocabulary) with everything but the best fitting token at minus infinity, inside of calls."""
        written = input_ids[0, self._start :].tolist()
        if not self._is_open(self._tokenizer.decode(written)):
            return scores
        for token in scores[0].argsort(descending=True).tolist():
            text = self._tokenizer.decode([*written, token])
            if self._pattern.fullmatch(text.rpartition(OPEN)[2], partial=True) and text.count(OPEN) == self._opened:
                held = scores.new_full(scores.shape, float("-inf"))
                held[0, token] = scores[0, token]
                return held
        return scores

    def _is_open(self, text: str) -> bool:
        self._opened = text.count(OPEN)
        return CLOSE not in text.rpartition(OPEN)[2] and self._opened > 0


def _joined(members: Sequence[str]) -> str:
    return f"{_SPACE},{_SPACE}".join(members)


def _arguments(function: dict[str, Any]) -> str:
    """The object of a tool's arguments: required ones in any order, others between them."""
    schema = function.get("parameters") or {}
    known = {
        key: rf"{regex.escape(json.dumps(key), literal_spaces=True)}{_SPACE}:{_SPACE}{_value(one, schema)}"
        for key, one in (schema.get("properties") or {}).items()
    }
    required = [key for key in schema.get("required") or [] if key in known]
    if len(required) > _MOST_ORDERED:
        required = []
    rest = [known[key] for key in known if key not in required]
    other = f"(?:{'|'.join(rest)})" if rest else ""
    before = f"(?:{other}{_SPACE},{_SPACE}){{0,{len(rest)}}}" if rest else ""
    after = f"(?:{_SPACE},{_SPACE}{other}){{0,{len(rest)}}}" if rest else ""
    if required:
        orders = ("".join((before, _joined([known[key] + after for key in order]))) for order in permutations(required))
        body = f"(?:{'|'.join(orders)})"
    else:
        body = f"(?:{other}{after})?" if rest else ""
    return rf"\{{{_SPACE}{body}{_SPACE}\}}"


def _value(schema: dict[str, Any], root: dict[str, Any]) -> str:
    """A value by its schema; what is not understood may be any simple value."""
    if "$ref" in schema:
        schema = root.get("$defs", {}).get(str(schema["$ref"]).rpartition("/")[2], {})
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"(?:{'|'.join(regex.escape(json.dumps(one), literal_spaces=True) for one in values)})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return f"(?:{'|'.join(_value(one, root) for one in schema[key])})"
    kind = schema.get("type")
    if isinstance(kind, list):
        return f"(?:{'|'.join(_value({**schema, 'type': one}, root) for one in kind)})"
    if kind == "array":
        item = _value(schema.get("items") or {}, root)
        return rf"\[{_SPACE}(?:{item}(?:{_SPACE},{_SPACE}{item}){{0,{_MOST_ITEMS}}})?{_SPACE}\]"
    if kind == "object":
        member = rf"{_STRING}{_SPACE}:{_SPACE}(?:{'|'.join(_PLAIN.values())})"
        return rf"\{{{_SPACE}(?:{member}(?:{_SPACE},{_SPACE}{member}){{0,{_MOST_ITEMS}}})?{_SPACE}\}}"
    return _PLAIN.get(str(kind), f"(?:{'|'.join(_PLAIN.values())})")
