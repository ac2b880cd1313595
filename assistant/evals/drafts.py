"""What a language model wrote before the check, beside what a reader saw: inventions, loops, skipped tools.

`Overheard` listens to any chat model; `drafts_of` judges what it wrote for one question. Knows replies, evidence and
the check; not stores, suites or detectors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import PrivateAttr

from assistant.agent import NOTHING
from assistant.evals.table import Line
from assistant.evaluate import Outcome
from assistant.llm.guard import unreadable
from assistant.llm.tool_model import ToolModel
from assistant.llm.toolcalls import written_calls
from assistant.verify import verify


class Overheard(ToolModel):
    """Another chat model, with all its replies kept in `heard`."""

    inner: BaseChatModel
    _heard: list[AIMessage] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return self.inner._llm_type

    @property
    def heard(self) -> list[AIMessage]:
        """Replies since the list was last emptied."""
        return self._heard

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = self.inner._generate(messages, stop, run_manager, **kwargs)
        self._heard += [one.message for one in result.generations if isinstance(one.message, AIMessage)]
        return result


@dataclass(frozen=True)
class Drafts:
    """What became of one question."""

    claims: int  # sentences that state facts, over all drafts
    numbers: int  # of these with a number that the evidence does not hold, or not there
    others: int  # of these wrong in another way
    first: bool  # the first draft already had a wrong sentence
    skipped: bool  # it answered without any call where one was needed
    repeated: bool  # it made the same call twice
    prose: bool  # it wrote a call that cannot be read, or no sentence
    silent: bool  # it came to no answer: where there is a fallback, the narrator answers
    seen: int  # wrong sentences in what the reader got


def drafts_of(outcome: Outcome, replies: Sequence[AIMessage]) -> Drafts:
    """Judge all that a model wrote for a question."""
    known = {one.id: one for one in (*outcome.reply.earlier, *outcome.reply.evidence)}
    asked = " ".join((*outcome.case.history, outcome.case.question))
    names = {one.tool for one in outcome.reply.evidence}
    calls = [(call["name"], json.dumps(call["args"], sort_keys=True)) for one in replies for call in one.tool_calls]
    texts = [one.text for one in replies if not one.tool_calls and not written_calls(one.text, names)]
    verdicts = [verify(text, known, asked) for text in texts if not unreadable(text)]
    wrong = [problem for verdict in verdicts for problem in verdict.problems]
    numbers = sum(bool(re.search(r"\d|\{\{", problem.text)) for problem in wrong)
    return Drafts(
        claims=sum(len(verdict.factual) for verdict in verdicts),
        numbers=numbers,
        others=len(wrong) - numbers,
        first=bool(verdicts and verdicts[0].problems),
        skipped=bool(outcome.case.calls) and not outcome.reply.evidence,
        repeated=len(set(calls)) < len(calls),
        prose=any(unreadable(text) for text in texts),
        silent=outcome.reply.text == NOTHING,
        seen=len(outcome.unsupported),
    )


_SHARES = (  # what is counted over questions
    ("a wrong sentence in the first draft", "first"),
    ("answered without a needed tool", "skipped"),
    ("the same call twice", "repeated"),
    ("a call or answer that cannot be read", "prose"),
    ("no answer of its own (narrator answers)", "silent"),
)


def lines(found: Sequence[tuple[Outcome, Drafts]]) -> list[Line]:
    """Rows of a table: by kind of question what was wrong before and after the check, then over all."""
    rows: list[Line] = []
    if not found:
        return rows
    for kind in sorted({outcome.case.kind for outcome, _ in found}):
        own = [drafts for outcome, drafts in found if outcome.case.kind == kind]
        claims = sum(one.claims for one in own)
        rows.append(Line(kind, "sentences wrong as written", sum(one.numbers + one.others for one in own), claims))
    every = [drafts for _, drafts in found]
    claims = sum(one.claims for one in every)
    rows += [
        Line("all", "sentences wrong in a number, as written", sum(one.numbers for one in every), claims),
        Line("all", "sentences wrong otherwise, as written", sum(one.others for one in every), claims),
        Line("all", "wrong sentences that a reader saw", sum(one.seen for one in every), claims),
    ]
    rows += [Line("all", name, sum(getattr(one, key) for one in every), len(every)) for name, key in _SHARES]
    return rows
