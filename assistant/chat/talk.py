"""Turns the assistant's events into chat messages: folded tool calls, streamed sentences, what was removed and why.

Knows events, answers and Markdown; not gradio, the store or language models. Messages are plain dictionaries in the
form that gr.Chatbot takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any

from assistant.agent import Done, StepDone, StepStarted, Token
from assistant.chat.marks import duration, linked, seal, with_chips
from assistant.evidence import Answer, Claim, Evidence, Step, render
from assistant.records import Exchange
from assistant.words import arguments_text, markdown

Message = dict[str, Any]
Draw = Callable[[Sequence[Evidence]], Sequence[str]]  # what an answer cites → its figures as HTML
_LINES = 40  # lines of a folded tool result; all of it stands behind its evidence id
_DRAWN = 6  # the latest answers of an earlier conversation are told with their figures


def asked(question: str) -> Message:
    """The reader's own words; they are shown as they were typed."""
    return {"role": "user", "content": markdown(question)}


def stream(events: Iterable[Any], draw: Draw) -> Iterator[tuple[list[Message], Answer | None]]:
    """The messages of one answer as they grow; the last item carries the finished `Answer`."""
    steps: list[Message] = []
    waiting: list[tuple[str, str, Message]] = []
    seen: dict[str, Evidence] = {}
    text = ""
    for event in events:
        if isinstance(event, StepStarted):
            message = folded(event.tool, event.arguments)
            waiting.append((event.tool, arguments_text(event.arguments), message))
            steps.append(message)
        elif isinstance(event, StepDone):
            message = take(waiting, event.step) or append(steps, folded(event.step.tool, event.step.arguments))
            message.update(done(event.step, event.evidence))
            if event.evidence is not None:
                seen[event.evidence.id] = event.evidence
        elif isinstance(event, Token):
            text += event.text
        elif isinstance(event, Done):
            shown = draw([seen[name] for name in cited(event.answer) if name in seen])
            yield [*steps, *closing(event.answer, shown)], event.answer
            return
        yield [*(dict(step) for step in steps), *([spoken(text)] if text else [])], None


def retold(
    exchanges: Sequence[Exchange],
    look_up: Callable[[str], Evidence | None] = lambda name: None,
    draw: Draw = lambda cited: (),
) -> list[Message]:
    """An earlier conversation, from the store; `look_up` finds evidence by its id, or None where it is gone."""
    messages: list[Message] = []
    for left, exchange in zip(range(len(exchanges), 0, -1), exchanges, strict=True):
        answer = Answer.from_dict(exchange.answer)
        known = {name: one for name in cited(answer) if (one := look_up(name))} if left <= _DRAWN else {}
        messages.append(asked(exchange.question))
        messages += [
            {**folded(step.tool, step.arguments), **done(step, known.get(step.evidence or ""))} for step in answer.steps
        ]
        messages += closing(answer, draw(list(known.values())) if known else [])
    return messages


def folded(tool: str, arguments: dict[str, Any]) -> Message:
    """A tool call under way, folded in."""
    title = f"{markdown(tool)} · {markdown(arguments_text(arguments))}" if arguments_text(arguments) else markdown(tool)
    return {"role": "assistant", "content": "", "metadata": {"title": title, "status": "pending"}}


def done(step: Step, evidence: Evidence | None) -> Message:
    """What changes in a folded call once it is done: its time, its evidence, its facts."""
    title = folded(step.tool, step.arguments)["metadata"]["title"]
    if step.status != "ok":
        title += f" · {step.status.replace('_', ' ')}"
    lines = render(evidence).splitlines()[1:] if evidence else []
    rest = f"\n… {len(lines) - _LINES} more" if len(lines) > _LINES else ""
    facts = f"<pre>{escape(chr(10).join(lines[:_LINES]) + rest)}</pre>" if lines else ""
    mark = f"{linked(f'[{step.evidence}]')}\n\n" if step.evidence else ""
    return {"content": mark + facts, "metadata": {"title": f"{title} · {duration(step.seconds)}", "status": "done"}}


def spoken(text: str) -> Message:
    """Verified sentences."""
    return {"role": "assistant", "content": linked(text)}


def thinking() -> Message:
    """Shown until the first tool is called."""
    return {"role": "assistant", "content": '<span class="thinking">Looking …</span>'}


def failed(reason: str) -> Message:
    """What is said where no answer came."""
    return {"role": "assistant", "content": f'<span class="notice">{escape(reason)}</span>'}


def closing(answer: Answer, shots: Sequence[str]) -> list[Message]:
    """The finished answer: notices, text, figures (HTML), how it was checked, and the claims that were dropped."""
    notices = "".join(f'<span class="notice">{escape(notice)}</span>' for notice in answer.notices)
    shown = f'<span class="shots">{"".join(shots)}</span>' if shots else ""
    body = "\n\n".join(piece for piece in (notices, with_chips(answer), shown, seal(answer)) if piece)
    messages: list[Message] = [{"role": "assistant", "content": body}]
    if answer.removed:
        many = len(answer.removed)
        title = f"{many} statement{'s' * (many > 1)} removed: no evidence for {'them' if many > 1 else 'it'}"
        said = "\n".join(f"- {removed(claim)}" for claim in answer.removed)
        messages.append({"role": "assistant", "content": said, "metadata": {"title": title, "status": "done"}})
    return messages


def removed(claim: Claim) -> str:
    """A dropped claim, struck out, with what it cited and why it was dropped."""
    reason = f"<br>Why: {markdown(claim.reason)}." if claim.reason else ""
    marks = " ".join(linked(f"[{name}]") for name in claim.evidence)
    return f"<s>{escape(claim.text)}</s> {marks}{reason}"


def cited(answer: Answer) -> list[str]:
    """Evidence ids of an answer, in the order of its claims."""
    return list(dict.fromkeys(name for claim in answer.claims for name in claim.evidence))


def take(waiting: list[tuple[str, str, Message]], step: Step) -> Message | None:
    """The folded message of a call that has finished; calls may finish in any order."""
    arguments = arguments_text(step.arguments)
    for place, (tool, given, message) in enumerate(waiting):
        if tool == step.tool and given == arguments:
            del waiting[place]
            return message
    return None


def append(messages: list[Message], message: Message) -> Message:
    """Add a message and hand it back."""
    messages.append(message)
    return message
