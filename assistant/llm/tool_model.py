"""What chat models of this project share: tools are offered as their OpenAI schemas. Knows LangChain; not models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models.base import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool


class ToolModel(BaseChatModel):
    """A chat model whose `_generate` is given `tools` as OpenAI schemas."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools; a choice cannot be forced, so `tool_choice` has no effect."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)
