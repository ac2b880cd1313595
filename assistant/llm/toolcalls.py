"""Finds tool calls that a language model wrote as text instead of making them.

Small models and plain servers answer `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, a block of JSON, or
`Action:` lines. Knows such text; not tools, models or LangChain.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple


class Written(NamedTuple):
    """One call as it was written."""

    name: str
    arguments: dict[str, Any]
    raw: str  # the text it was read from


_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|(?=<tool_call>)|$)", re.DOTALL)
_FUNCTION = re.compile(r"<function=(\w+)>\s*(.*?)\s*(?:</function>|$)", re.DOTALL)
_MARKED = re.compile(r"(?:\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|>)\s*(.*)", re.DOTALL)
_FENCED = re.compile(r"```(?:json|tool_call|tool_code)?\s*\n?(.*?)```", re.DOTALL)
_ACTION = re.compile(r"Action:\s*(\w+)\s*\n\s*Action Input:\s*(\{.*?\}|[^\n]*)", re.DOTALL)
_PYTHON = re.compile(r"\w+\((?:[^()\n]|\([^()\n]*\))*\)")
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)


def without_thoughts(text: str) -> str:
    """The text without what a model thought aloud."""
    return re.sub(r"^.*?</think(?:ing)?>", "", _THOUGHT.sub("", text), flags=re.DOTALL).strip()


def written_calls(text: str, known: Collection[str]) -> list[Written]:
    """The calls in a reply, in order; [] where it is an answer.

    A name outside `known` counts only in a `<tool_call>` tag, so that the model can be told that there is no such tool.
    """
    tagged = [call for match in _TAGGED.finditer(text) for call in _read(match[1], match[0])]
    if tagged:
        return tagged
    found = [call for call in _loose(text) if call.name in known]
    return found or [call for call in _python(text) if call.name in known]


def _loose(text: str) -> Iterator[Written]:
    """Calls in other wrappings, or JSON alone."""
    for match in _FUNCTION.finditer(text):
        yield Written(match[1], _arguments(_json(match[2]) or {}), match[0])
    for match in _ACTION.finditer(text):
        yield Written(match[1], _arguments(_json(match[2]) or {}), match[0])
    for pattern in (_MARKED, _FENCED):
        for match in pattern.finditer(text):
            yield from _read(match[1], match[0])
    if text.strip()[:1] in ("{", "["):
        yield from _read(text.strip(), text.strip())


def _read(body: str, raw: str) -> list[Written]:
    value = _json(body)
    calls = value if isinstance(value, list) else [value]
    found = []
    for call in calls:
        if not isinstance(call, dict):
            continue
        inner = call.get("function")
        call = inner if isinstance(inner, dict) else call
        name = call.get("name") or call.get("tool") or (inner if isinstance(inner, str) else None)
        if isinstance(name, str):
            given: Any = next((call[key] for key in ("arguments", "parameters", "args", "input") if key in call), {})
            found.append(Written(name, _arguments(given), raw))
    return found


def _python(text: str) -> Iterator[Written]:
    """Lines that are nothing but calls: explain_finding(finding="F12")."""
    lines = [line.strip().strip("`") for line in text.strip().splitlines() if line.strip()]
    if not lines or not all(_PYTHON.fullmatch(line) for line in lines):
        return
    for line in lines:
        try:
            node = ast.parse(line, mode="eval").body
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
                given = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
                yield Written(node.func.id, given, line)
        except (SyntaxError, ValueError):
            continue


def _json(body: str) -> Any:
    """JSON, also with trailing commas or in Python's spelling; None where it is neither."""
    body = body.strip()
    try:
        return json.JSONDecoder().raw_decode(body)[0]
    except ValueError:
        pass
    try:
        return json.loads(re.sub(r",\s*([}\]])", r"\1", body))
    except ValueError:
        pass
    try:
        return ast.literal_eval(body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _arguments(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        given = _json(given)
    return {str(key): value for key, value in given.items()} if isinstance(given, dict) else {}
