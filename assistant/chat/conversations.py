"""The handlers of the talk: ask, stop, retry, edit, and the reader's conversations by name. A part of `Page`.

Knows gradio, sessions, conversations and the assistant; not the queue or the finding in hand. A conversation that is
not on the reader's own list is not opened, even where its id is known.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import gradio as gr

from assistant.agent import Assistant
from assistant.chat import talk as chat_talk
from assistant.chat import view as chat_view
from assistant.chat.figures import Figures
from assistant.chat.session import Session, download_folder, new_id, told
from assistant.chat.transcript import as_markdown
from assistant.evidence import Answer, Evidence
from assistant.pipeline import Workspace
from assistant.store.conversations import Conversation, Conversations
from detectors.errors import AnomalyError

FIRST = (  # to try first, and what comes of it
    ("What was flagged?", "The run at a glance, each figure with its evidence"),
    ("Why is it anomalous?", "What departs in the finding in hand, where, and how sure that is"),
    ("What should it look like?", "Its nearest normal version, scored again"),
)
NEW = "New conversation"
_KEPT = 64  # assistants kept ready; other conversations are read back from the store


class Talk:
    """The right side of the page, for one workspace."""

    workspace: Workspace
    llm: str

    def open_talk(self) -> None:
        """Make what the talk stands on; a language model that cannot be set up is told of here."""
        self.conversations = Conversations(self.workspace.store.root)
        self.figures = Figures(self.workspace.store)
        self._assistants: OrderedDict[str, Assistant] = OrderedDict()
        self.assistant(new_id())

    def assistant(self, thread: str) -> Assistant:
        """The assistant of a conversation."""
        made = self._assistants.pop(thread, None) or Assistant(self.workspace, llm=self.llm, thread=thread)
        self._assistants[thread] = made
        while len(self._assistants) > _KEPT:
            self._assistants.popitem(last=False)
        return made

    # --- asking ---------------------------------------------------------------------------------------------------

    def ask(self, question: str, session: Session | None) -> Iterator[tuple[Any, ...]]:
        """One question: (box, talk head, messages, suggestions, session) as the answer grows."""
        question = question.strip()
        if not question or session is None:  # nothing asked, or the page is still opening
            yield (gr.skip(),) * 5
            return
        if session.editing:
            self._take_back(session)
        before = [*session.talk, chat_talk.asked(question)]
        session.talk, session.question, session.answered, session.suggestions = before, question, False, ()
        session.turn += 1
        turn = session.turn
        self.conversations.touch(session.reader, session.thread, question)
        waiting = chat_view.view("suggestions", (), "")
        yield busy(True), self.talk_head(session), [*before, chat_talk.thinking()], waiting, gr.skip()
        try:
            events = self.assistant(session.thread).stream(question, focus=session.focus)
            for messages, answer in chat_talk.stream(events, self.figures.of):
                with session.lock:
                    if session.turn != turn:  # stopped meanwhile
                        break
                    session.talk = [*before, *messages]  # kept as it grows: a stopped answer stays readable
                    session.answered = answer is not None
                    session.suggestions = answer.suggestions if answer else ()
                shown = session.talk if messages else [*before, chat_talk.thinking()]
                yield gr.skip(), gr.skip(), shown, gr.skip(), gr.skip()
        except AnomalyError as error:
            session.talk = [*session.talk, chat_talk.failed(str(error))]
        yield busy(False), gr.skip(), session.talk, self.suggest(session), session

    def offered(self, session: Session | None, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        """A suggested question."""
        yield from self.ask(str(event._data["ask"]), session)

    def stopped(self, session: Session) -> tuple[Any, ...]:
        """The reader has had enough of an answer."""
        with session.lock:
            session.turn += 1
            session.talk = [*session.talk, chat_talk.failed("Stopped.")]
        return busy(False), gr.skip(), session.talk, self.suggest(session), session

    def retried(self, session: Session | None) -> Iterator[tuple[Any, ...]]:
        """The last question once more; its first answer is forgotten."""
        if session is None or not session.question:
            yield (gr.skip(),) * 5
            return
        session.editing = True
        yield from self.ask(session.question, session)

    @told
    def edited(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """The last question goes back into the box, to be asked differently; or not, after all."""
        session.editing = bool(event._data.get("edit")) and bool(session.question)
        return gr.Textbox(session.question if session.editing else ""), self.suggest(session), session

    def _take_back(self, session: Session) -> None:
        """Forget the last question of the talk, whether or not it was answered."""
        session.editing = False
        if session.answered:
            self.assistant(session.thread).take_back(session.question)
        asked = [at for at, message in enumerate(session.talk) if message["role"] == "user"]
        session.talk = session.talk[: asked[-1]] if asked else []

    # --- conversations --------------------------------------------------------------------------------------------

    def enter(self, session: Session, thread: str | None) -> None:
        """Go on with a conversation of this reader, or (None, or one that is not theirs) begin a new one."""
        mine = thread is not None and self.conversations.owns(session.reader, thread)
        session.thread = str(thread) if mine else new_id()
        exchanges = self.workspace.store.answers(session.thread) if mine else []
        session.talk = chat_talk.retold(exchanges, self._known, self.figures.of)
        session.question = exchanges[-1].question if exchanges else ""
        session.suggestions = Answer.from_dict(exchanges[-1].answer).suggestions if exchanges else ()
        session.answered, session.editing = True, False

    def _known(self, name: str) -> Evidence | None:
        try:
            return self.workspace.store.evidence(name)
        except AnomalyError:
            return None

    @told
    def conversation(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A new conversation, or one of this reader's earlier ones."""
        self.enter(session, str(event._data.get("thread")))
        return (session, *self.talk(session))

    @told
    def renamed(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Another name for the conversation in hand."""
        self.conversations.rename(session.reader, session.thread, str(event._data.get("title") or ""))
        return session, self.talk_head(session)

    @told
    def forgotten(self, session: Session) -> tuple[Any, ...]:
        """The conversation in hand is deleted; the next one comes up."""
        if self.conversations.owns(session.reader, session.thread):
            self.assistant(session.thread).forget()
            self._assistants.pop(session.thread, None)
            self.conversations.forget(session.reader, session.thread)
        left = self.conversations.of(session.reader)
        self.enter(session, left[0].thread if left else None)
        return (session, *self.talk(session))

    @told
    def exported(self, session: Session) -> str:
        """The conversation in hand as a Markdown file with its evidence."""
        exchanges = self.workspace.store.answers(session.thread)
        if not exchanges:
            raise AnomalyError("There is nothing to export yet; ask a question first.")
        known = {one.thread: one.title for one in self.conversations.of(session.reader)}
        title = known.get(session.thread, exchanges[0].question)
        name = re.sub(r"[^\w-]+", "-", title.lower()).strip("-")[:48] or "conversation"
        out = download_folder() / f"{name}.md"
        out.write_text(as_markdown(title, exchanges, self.workspace.store.evidence), encoding="utf-8")
        return str(out)

    # --- how it looks ---------------------------------------------------------------------------------------------

    def talk(self, session: Session) -> tuple[Any, ...]:
        """Talk head, messages and suggestions."""
        return self.talk_head(session), session.talk, self.suggest(session)

    def talk_head(self, session: Session) -> str:
        """The model, the conversations to choose from, and what can be done with the one in hand."""
        mine = self.conversations.of(session.reader)
        if not any(one.thread == session.thread for one in mine):
            mine = [Conversation(session.thread, NEW, ""), *mine]
        return chat_view.view("talk_head", self.llm, session.thread, mine)

    def suggest(self, session: Session) -> str:
        """Questions to ask next, and what can be done with the last one."""
        if not session.talk:
            return chat_view.view("first", FIRST if session.focus else (("What can you do?", "What I am here for"),))
        shown = session.suggestions
        again = "editing" if session.editing else "again" if session.question else ""
        return chat_view.view("suggestions", shown[:4], again)


def busy(asking: bool) -> Any:
    """The question box: empty with a stop button while an answer is under way, else with a send button."""
    return gr.Textbox("", submit_btn=False, stop_btn=True) if asking else gr.Textbox(submit_btn=True, stop_btn=False)
