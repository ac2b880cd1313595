"""The tool that tells how to read results and what the assistant can do."""

from __future__ import annotations

from assistant import prompts
from assistant.evidence import Fact, ToolResult
from assistant.pipeline import Workspace
from assistant.tools import tool


@tool
def read_guide(workspace: Workspace, topic: str) -> ToolResult:
    """How to read p-values, alpha, scores, maps, counterfactuals and methods, and what the assistant can and cannot do.

    Args:
        topic: what to read about, such as p-value, map, methods, series or help.
    """
    guide = prompts.guide(topic)
    return ToolResult([Fact(f"guide {guide.name}", "title", guide.title)], note=guide.text)
