"""The plainest agent loop there is, over the made-up stores: what a chat model does by itself, unchecked."""

from __future__ import annotations

from collections.abc import Callable

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from assistant.evals.made_stores import build
from assistant.evaluate import Asker, Reply
from assistant.evidence import Evidence


def conversation(model: BaseChatModel) -> Callable[[str], Asker]:
    """Opens conversations of a chat model over the made-up stores."""

    def open_(world: str) -> Asker:
        log: list[Evidence] = []
        tools = build(world).tools(log)
        bound, by_name = model.bind_tools(tools), {tool.name: tool for tool in tools}
        messages: list[BaseMessage] = [SystemMessage("You explain anomalies.")]

        def ask(question: str, focus: str | None) -> Reply:
            before = len(log)
            messages.append(HumanMessage(f"(open on the page: {focus})\n{question}" if focus else question))
            for _ in range(12):
                answer = bound.invoke(messages)
                messages.append(answer)
                if not answer.tool_calls:
                    return Reply(str(answer.content), tuple(log[before:]), tuple(log[:before]))
                messages.extend(by_name[call["name"]].invoke(call) for call in answer.tool_calls)
            raise AssertionError(f"the model never came to an answer to {question!r}")

        return ask

    return open_
