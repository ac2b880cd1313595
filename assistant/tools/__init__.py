"""Tools: what a language model, the page and the command line can ask. One plain function each, found by scanning.

A tool takes the workspace and typed arguments and returns a `ToolResult`; here its arguments are checked, its result
is stored as evidence, and it is handed to LangChain. To add one: a function with `@tool` in a module of this folder;
its docstring is what a language model reads (a line per argument under "Args:").
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from assistant.evidence import Evidence, ToolResult, render
from assistant.store.audit import acting, short_session
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from pydantic import BaseModel

    from assistant.pipeline import Workspace

_found: dict[str, Tool] = {}


@dataclass(frozen=True)
class Tool:
    """A function with what is known about its arguments."""

    name: str
    function: Callable[..., ToolResult]
    description: str  # the docstring without its arguments
    help: dict[str, str]  # argument -> what it is

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The arguments without the workspace."""
        return dict(list(inspect.signature(self.function).parameters.items())[1:])


def tool(function: Callable[..., ToolResult]) -> Callable[..., ToolResult]:
    """Register a function as a tool."""
    text = inspect.getdoc(function) or ""
    description, _, arguments = text.partition("\nArgs:")
    found = re.findall(r"^\s+(\w+): (.+?)(?=\n\s+\w+: |\Z)", arguments.split("\n\n")[0], re.MULTILINE | re.DOTALL)
    about = {name: " ".join(line.split()) for name, line in found}
    one = Tool(function.__name__, function, " ".join(description.split()), about)
    if set(one.help) != set(one.parameters):
        raise TypeError(f"the docstring of {one.name} explains {sorted(one.help)}, not {sorted(one.parameters)}")
    _found[one.name] = one
    return function


@cache
def all_tools() -> dict[str, Tool]:
    """Every tool by name."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(_found.items()))


def call(workspace: Workspace, name: str, /, **arguments: Any) -> Evidence:
    """Run a tool outside any conversation; see `run`."""
    return run(workspace, name, arguments)


def run(workspace: Workspace, name: str, arguments: dict[str, Any], thread: str | None = None) -> Evidence:
    """Run a tool and store its result; what goes wrong with the question becomes evidence with status "error".

    Raises:
        AnomalyError: there is no such tool, or the store cannot be written.
    """
    if name not in all_tools():
        raise AnomalyError(f"There is no tool {name!r}; known: {', '.join(all_tools())}.")
    one = all_tools()[name]
    said = {} if thread is None else {"via": "chat", "session": short_session(thread)}
    try:
        arguments = _checked(one, arguments)
        with acting(**said):
            result = one.function(workspace, **arguments)
    except AnomalyError as error:
        result = ToolResult(status="error", note=str(error))
    given = {key: value for key, value in arguments.items() if value != _default(one, key)}
    return workspace.store.add_evidence(name, given, result, thread)


def langchain_tools(workspace: Workspace, thread: str | None = None) -> list[BaseTool]:
    """All tools for LangChain: content is rendered evidence, the artifact is the `Evidence`.

    Arguments are checked here, not by LangChain, so that a wrong call is evidence as well and can be corrected.
    """
    from langchain_core.tools import StructuredTool

    def wrapped(one: Tool) -> BaseTool:
        def function(**arguments: Any) -> tuple[str, Evidence]:
            evidence = run(workspace, one.name, arguments, thread)
            return render(evidence), evidence

        return StructuredTool(
            name=one.name,
            description=one.description,
            args_schema=_schema(one.name).model_json_schema(),
            func=function,
            response_format="content_and_artifact",
        )

    return [wrapped(one) for one in all_tools().values()]


@cache
def _schema(name: str) -> type[BaseModel]:
    from pydantic import ConfigDict, Field, create_model

    one = all_tools()[name]
    hints = get_type_hints(one.function, include_extras=True)
    fields: dict[str, Any] = {}
    for key, parameter in one.parameters.items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[key] = (hints[key], Field(default, description=one.help[key]))
    return create_model(name, __config__=ConfigDict(extra="forbid", coerce_numbers_to_str=True), **fields)


def _checked(one: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the right types, defaults filled in.

    Raises:
        AnomalyError: an argument is missing, unknown or of the wrong kind; the sentence says what is right.
    """
    from pydantic import ValidationError

    given = {key: value for key, value in arguments.items() if value is not None or key not in one.parameters}
    try:
        return _schema(one.name)(**given).model_dump()
    except ValidationError as error:
        problems = "; ".join(_problem(one, dict(detail)) for detail in error.errors()[:4])
        raise AnomalyError(f"{one.name} takes {', '.join(one.parameters) or 'no arguments'}: {problems}.") from error


def _problem(one: Tool, detail: dict[str, Any]) -> str:
    key = str(detail["loc"][0])[:60]
    if detail["type"] == "missing":
        return f"{key} is missing ({one.help[key].rstrip('.')})"
    if detail["type"] == "extra_forbidden":
        return f"{key!r} is not an argument"
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{key} should be {message}, not {str(detail['input'])[:60]!r}"


def _default(one: Tool, key: str) -> Any:
    return one.parameters[key].default if key in one.parameters else inspect.Parameter.empty
