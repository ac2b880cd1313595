"""The page on Gradio: a queue of findings, the finding in hand, the talk about it, data in, incidents, feedback."""

from assistant.chat.app import (
    build,
    check_port,
    is_loopback,
    options,
    serve,
    start,
)

__all__ = [
    "build",
    "check_port",
    "is_loopback",
    "options",
    "serve",
    "start",
]
