"""A reader of the page without a browser: their session, the events that a browser sends, and an evil name."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr

from assistant.chat.page import Page
from assistant.chat.session import Session
from assistant.evidence import Evidence, Fact, Step

EVIL = '<img src=x onerror="alert(1)">{{ 7*7 }}'
STEP = Step("explain_finding", {"finding": "F1"}, "E1", 0.25, "ok")
EVIDENCE = Evidence("E1", "explain_finding", {"finding": "F1"}, "ok", [Fact("F1", "sample", EVIL)], ["F1"])


def event(**data) -> gr.EventData:
    return gr.EventData(None, data)


def opened(page: Page, reader: str = "", **query) -> Session:
    kept = {"reader": reader} if reader else None
    return page.load(kept, SimpleNamespace(query_params=query))[0]
