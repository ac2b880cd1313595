"""The page: a queue of findings, the finding in hand, and the talk about it, on Gradio.

Draws the layout and wires its events to the handlers of `chat_page`; serves it. Nothing leaves the machine: analytics
are off, fonts and scripts are local, and no file of the store is handed out (pictures travel inside the HTML).
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
from importlib import resources
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before the import: Gradio looks at it once

import gradio as gr

from assistant.chat.data import data_tab, models_choice, runs_table, wire_data
from assistant.chat.incidents import cases_tab, wire_cases
from assistant.chat.intake import UPLOAD_BYTES
from assistant.chat.page import Page
from assistant.chat.session import own, resource
from assistant.chat.teach import teach_tab, wire_teach
from assistant.chat.view import view
from assistant.chat.watch import news_place, wire_news
from assistant.llm import warm_up
from assistant.pipeline import Workspace
from detectors.errors import AnomalyError

UPLOADS_KEPT = (3600, 86400)  # seconds between looks for uploads that nobody used, and how old they may become
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

_FILTERS_JS = """
let timer;
const send = () => trigger('submit', Object.fromEntries(new FormData(element.querySelector('form'))));
element.addEventListener('change', (event) => { if (event.target.tagName === 'SELECT') send(); });
element.addEventListener('input', (event) => {
  if (event.target.type === 'search') { clearTimeout(timer); timer = setTimeout(send, 250); }
});"""
_HEAD_JS = """
element.addEventListener('click', (event) => {
  const label = event.target.closest('[data-label]'), report = event.target.closest('[data-report]');
  const finding = element.querySelector('[data-finding]')?.dataset.finding;
  if (label && !label.disabled) trigger('click', { label: label.dataset.label, finding });
  if (report) trigger('submit', {});
});"""
_DOWNLOAD_JS = "() => { setTimeout(() => document.getElementById('report-file')?.click(), 150); }"


def build(workspace: Workspace, llm: str = "narrator", local_paths: bool = True) -> gr.Blocks:
    """The page as Gradio blocks, to be served with `options()`."""
    page = Page(workspace, llm, local_paths)
    name = hashlib.sha256(str(workspace.store.root).encode()).hexdigest()[:16]
    with gr.Blocks(
        title="Anomaly assistant", analytics_enabled=False, fill_width=True, delete_cache=UPLOADS_KEPT
    ) as blocks:
        session = gr.State(None)  # a `Session`, made when the page opens
        kept = gr.BrowserState({}, storage_key=f"anomaly-{name}", secret=name)
        own("", "keys", value=view("keys"))
        own("", "top", value=view("top", "/".join(workspace.store.root.parts[-2:])))
        news = news_place()
        with gr.Tabs(elem_id="page-tabs") as tabs:
            with gr.Tab("Findings", id="findings"):
                parts = bench()
            with gr.Tab("Incidents", id="incidents") as incidents:
                cases = cases_tab()
            with gr.Tab("Data", id="data-tab"):
                data = data_tab(page)
            with gr.Tab("Feedback", id="feedback") as feedback:
                teach = teach_tab()
        opening = wire(page, blocks, session, kept, parts)
        wire_teach(workspace, feedback, teach, session, _QUIET)
        wire_data(page, data, session, _QUIET)
        begun = [session, data["drop"], data["jobs"], data["timer"]]
        prepared = parts["picked"].click(page.case_prepared, session, begun, **_QUIET)
        prepared.success(lambda: gr.Tabs(selected="data-tab"), None, tabs, **_QUIET)
        for made, comes_up in wire_cases(page, incidents, cases, parts["picked"], session, _QUIET):
            made.success(page.requeued, session, [parts["filters"], parts["queue"]], **_QUIET)
            if comes_up:
                made.success(lambda: gr.Tabs(selected="incidents"), None, tabs, **_QUIET)
        shown = [data["runs"], data["model"]]
        blocks.load(lambda: (runs_table(workspace), models_choice(workspace)), None, shown, **_QUIET)
        opened = [session, parts["filters"], parts["queue"], *(parts[key] for key in HAND)]
        ticking = [session, data["jobs"], *shown, data["timer"], *opened[1:], parts["suggestions"]]
        wire_news(page, blocks, news, session, opened[1:], _QUIET)
        data["timer"].tick(page.ticked, session, ticking, **_QUIET)
        opening.then(page.ticked, session, ticking, **_QUIET)  # jobs that were begun before the page was opened anew
        for table in (data["runs"], data["jobs"]):
            table.select(page.run_opened, session, opened, **_QUIET).then(
                lambda: gr.Tabs(selected="findings"), None, tabs, **_QUIET
            )
    return blocks


HAND = ("head", "stage", "plot", "parts")


def bench() -> dict[str, Any]:
    """The three columns: queue, finding, talk."""
    parts: dict[str, Any] = {}
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="left"):
            parts["filters"] = own(_FILTERS_JS, "filters")
            parts["queue"] = own(resource("queue.js"), "queue")
            parts["picked"] = own(resource("pick.js"), "picked", view("picked"))
        with gr.Column(elem_id="centre"):
            parts["head"] = own(_HEAD_JS, "head")
            parts["stage"] = own(resource("stage.js"), "stage")
            parts["plot"] = gr.Plot(elem_id="plot", show_label=False, container=False, visible=False)
            parts["parts"] = own("", "parts")
            parts["drawer"] = own("", "drawer")
            parts["bridge"] = own(resource("page.js"), "bridge")
            parts["report"] = gr.DownloadButton("report", elem_id="report-file", elem_classes="offstage")
        with gr.Column(elem_id="right"):
            parts["talk_head"] = own(resource("talk.js"), "talk-head")
            parts["talk"] = gr.Chatbot(
                elem_id="talk", show_label=False, height=None, buttons=["copy"], layout="bubble", feedback_options=None,
                latex_delimiters=[], allow_tags=False, group_consecutive_messages=True, container=False,
                placeholder="Ask in your own words. Every figure in an answer leads to its evidence.",
            )  # fmt: skip
            parts["suggestions"] = own(resource("suggest.js"), "suggestions")
            parts["box"] = gr.Textbox(
                elem_id="ask", show_label=False, label="Question", placeholder="Ask about what was found …", lines=1,
                max_lines=6, max_length=4000, submit_btn=True, stop_btn=False, container=False,
            )  # fmt: skip
    return parts


def wire(page: Page, blocks: gr.Blocks, session: gr.State, kept: gr.BrowserState, parts: dict[str, Any]) -> Any:
    """Connect the events of the findings tab; hands back the event of its opening."""
    hand = [parts[key] for key in HAND]
    talk = [parts["talk_head"], parts["talk"], parts["suggestions"]]
    queue = [session, parts["filters"], parts["queue"], *hand]
    # Picks may overtake each other; the handlers drop what is no longer asked for. (Gradio's "always_last" would send
    # the data of the first pick again.)
    quick: dict[str, Any] = {"concurrency_limit": 16, "trigger_mode": "multiple"}
    normal = [parts["stage"], parts["plot"], parts["parts"]]
    expected = {"fn": page.normal_version, "inputs": session, "outputs": normal, **_QUIET}
    expected |= {"concurrency_limit": 2, "trigger_mode": "always_last"}

    opening = blocks.load(page.load, kept, [session, kept, parts["filters"], parts["queue"], *hand, *talk], **_QUIET)
    opening.then(**expected)
    parts["filters"].submit(page.filtered, session, queue, **_QUIET, **quick).then(**expected)
    picked = [session, parts["queue"], *hand]
    parts["queue"].click(page.picked, session, picked, **_QUIET, **quick).then(**expected)
    parts["queue"].click(page.drawn, session, parts["plot"], **_QUIET, **quick)
    parts["stage"].click(page.repaired, session, [parts["drawer"], parts["stage"]], **_QUIET, **quick)
    parts["head"].click(page.labelled, session, [session, parts["queue"], parts["head"]], **_QUIET)
    written = parts["head"].submit(page.report, session, parts["report"], api_visibility="private")
    written.success(None, None, None, js=_DOWNLOAD_JS, **_QUIET)
    cited = [session, parts["drawer"], parts["filters"], parts["queue"], *hand]
    parts["bridge"].select(page.cited, session, cited, **_QUIET, **quick).then(**expected)
    parts["bridge"].clear(lambda: "", None, parts["drawer"], **_QUIET)

    said = [parts["box"], *talk, session]
    asking = {"concurrency_limit": 8, "concurrency_id": "ask", **_QUIET}
    typed = parts["box"].submit(page.ask, [parts["box"], session], said, **asking)
    offered = parts["suggestions"].select(page.offered, session, said, **asking)
    pointed = parts["stage"].select(page.offered, session, said, **asking)
    retried = parts["suggestions"].retry(page.retried, session, said, **asking)
    parts["box"].stop(page.stopped, session, said, cancels=[typed, offered, pointed, retried], **_QUIET)
    parts["suggestions"].edit(page.edited, session, [parts["box"], parts["suggestions"], session], **_QUIET)
    parts["talk_head"].select(page.conversation, session, [session, *talk], **_QUIET)
    parts["talk_head"].edit(page.renamed, session, [session, parts["talk_head"]], **_QUIET)
    parts["talk_head"].delete(page.forgotten, session, [session, *talk], **_QUIET)
    exported = parts["talk_head"].download(page.exported, session, parts["report"], api_visibility="private")
    exported.success(None, None, None, js=_DOWNLOAD_JS, **_QUIET)
    return opening


def options() -> dict[str, Any]:
    """How the page is served: its look, and what it keeps closed."""
    return {
        "theme": gr.themes.Base(
            font=["system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"],
            font_mono=["ui-monospace", "DejaVu Sans Mono", "monospace"],
            radius_size="sm", spacing_size="sm", text_size="sm", primary_hue="blue", neutral_hue="slate",
        ),
        "css": "".join(resource(f"{name}.css") for name in ("page", "centre", "teach", "data", "watch")),
        "footer_links": [],
        "allowed_paths": [],
        "max_file_size": UPLOAD_BYTES,
        "enable_monitoring": False,
        "share": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "run_history": False,
        "quiet": True,
    }  # fmt: skip


def start(
    workspace: Workspace, llm: str = "narrator", host: str = "127.0.0.1", port: int = 7860, open_browser: bool = False
) -> tuple[gr.Blocks, str]:
    """Serve the page in threads of their own; the blocks (to be closed) and the address are given back.

    Args:
        host: 127.0.0.1 shows the page to this machine alone; elsewhere, readers may not name paths of this machine.

    Raises:
        AnomalyError: the port is in use, the address is not one of this machine's, or the language model is not known.
    """
    check_port(host, port)
    warm_up()
    blocks = build(workspace, llm, local_paths=is_loopback(host))
    blocks.queue(default_concurrency_limit=8, max_size=256)
    with resources.as_file(resources.files("assistant").joinpath("templates", "icon.png")) as icon:
        _, address, _ = blocks.launch(
            server_name=host, server_port=port, inbrowser=open_browser, prevent_thread_lock=True,
            favicon_path=icon, **options(),
        )  # fmt: skip
    return blocks, str(address)


def serve(
    workspace: Workspace,
    llm: str = "narrator",
    host: str = "127.0.0.1",
    port: int = 7860,
    open_browser: bool = False,
    block: bool = True,
) -> str:
    """Like `start`, and wait until the page is stopped, unless told otherwise; the address is given back."""
    blocks, address = start(workspace, llm, host, port, open_browser)
    if block:
        blocks.block_thread()
    return address


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_port(host: str, port: int) -> None:
    """Say in one sentence what is wrong with an address, before anything is built."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise AnomalyError(
                f"The page cannot be served at {host}:{port} ({why}); choose another --port or --host."
            ) from error
