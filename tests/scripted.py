"""Chat models that follow a script, and a server that speaks OpenAI's protocol: for everything a model may do wrong.

A reply is an AIMessage, a text, an exception to raise, or a function of the messages that gives one of these. When the
script is over, its last reply is given again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

Reply = AIMessage | str | Exception | Callable[[list[BaseMessage]], Any]


def call(name: str, /, **arguments: Any) -> AIMessage:
    """A reply that calls one tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": uuid4().hex, "type": "tool_call"}])


class Scripted(BaseChatModel):
    """Says what it was told to say; `seen` holds the messages of every call, `offered` the tools."""

    script: list[Any]
    seen: list[list[BaseMessage]] = []
    offered: list[list[str]] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        reply = self.script[min(len(self.seen), len(self.script) - 1)]
        self.seen.append(list(messages))
        self.offered.append([tool["function"]["name"] for tool in kwargs.get("tools", [])])
        if callable(reply):
            reply = reply(messages)
        if isinstance(reply, Exception):
            raise reply
        message = AIMessage(reply) if isinstance(reply, str) else reply.model_copy(update={"id": None})
        return ChatResult(generations=[ChatGeneration(message=message)])


@contextmanager
def openai_server(replies: list[dict[str, Any] | int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server for ChatOpenAI on an own port: its address and the requests it got.

    A reply is a message ({"content": ...} or {"tool_calls": [...]}), or an HTTP status to fail with.
    """
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = replies[min(len(requests), len(replies) - 1)]
            requests.append({**body, "authorization": self.headers.get("Authorization")})
            if isinstance(reply, int):
                self._send(reply, {"error": {"message": "no", "type": "server_error"}})
                return
            choice = {"index": 0, "message": {"role": "assistant", **reply}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
            self._send(
                200,
                {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "fake",
                    "choices": [choice],
                    "usage": usage,
                },
            )

        def _send(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        server.server_close()


def openai_call(name: str, /, **arguments: Any) -> dict[str, Any]:
    """A message of that server which calls one tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": None, "tool_calls": [{"id": f"call_{name}", "type": "function", "function": function}]}
