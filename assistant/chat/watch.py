"""The live badge: says that a watch has brought new findings, and opens them. Polls the newest finding's number.

Knows gradio, the page's handlers and the store; not how findings look.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant.chat.session import Session, own, told
from assistant.watch.ledger import findings_after, newest_finding

EVERY = 4.0  # seconds between looks: one read of the end of an index
_JS = """
element.addEventListener('click', (event) => { if (event.target.closest('[data-news]')) trigger('click', {}); });"""


def badge(news: int, last: str) -> str:
    """So many new findings, the last of them named; nothing where there are none."""
    if not news:
        return ""
    words = f"{news:,} new finding{'' if news == 1 else 's'}"
    return (
        f'<div class="news" role="status"><button type="button" data-news title="Open the latest: {last}">'
        f'<span class="dot" aria-hidden="true"></span>{words}</button></div>'
    )


class News:
    """What has come since a reader last looked."""

    def __init__(self, page: Any) -> None:
        self.page, self.store = page, page.workspace.store

    def begin(self) -> tuple[int, str]:
        """The page opens: what is there counts as seen."""
        return newest_finding(self.store), ""

    def look(self, seen: int | None) -> Any:
        """The badge as it is now."""
        newest = newest_finding(self.store)
        if seen is None or newest <= seen:
            return gr.skip()
        return badge(findings_after(self.store, seen), f"F{newest}")

    @told
    def open(self, session: Session) -> tuple[Any, ...]:
        """The latest finding in hand, in its run's queue; the badge is gone."""
        newest = newest_finding(self.store)
        if not newest:
            return (newest, "", session, *[gr.skip()] * 6)
        session.filter = Session().filter
        return (newest, "", session, *self.page.focus_on(session, f"F{newest}"))


def wire_news(
    page: Any, blocks: gr.Blocks, place: Any, session: gr.State, opened: list[Any], quiet: dict[str, Any]
) -> None:
    """Connect the badge `place`; `opened`: filters, queue and the four parts of the finding in hand."""
    news, seen = News(page), gr.State(None)
    blocks.load(news.begin, None, [seen, place], **quiet)
    gr.Timer(EVERY).tick(news.look, seen, place, **quiet)
    place.click(news.open, session, [seen, place, session, *opened], **quiet)


def news_place() -> gr.HTML:
    """Where the badge is drawn."""
    return own(_JS, "news")
