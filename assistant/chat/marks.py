"""Turns an answer's text into Markdown whose marks the page opens, and says in a line how the answer was checked.

Knows answers and words; not the store, gradio or templates. A mark leads to its evidence and, after a slash, to the
facts that its sentence states: `#E7/F12.p_value|F12/region 1.left`, percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from assistant.chat.transcript import facts_of
from assistant.evidence import Answer, Claim, Usage, format_number

FACTS = 12  # named in one link
_FINDING = re.compile(r"(?<![\w./#\[-])F\d+(?![\w-]|\.\w)")  # an id in a sentence, not one within a name
_MARK = re.compile(r"\[(E\d+(?:\s*[,;]\s*E\d+)*)\]")


def linked(text: str, cited: Sequence[Claim] = ()) -> str:
    """The answer's Markdown with links that the page opens: each mark, [E7] or [E7, E9], and each finding's id.

    `cited` holds the claim behind each mark, in their order; a mark then leads to the facts that its sentence states.
    """
    pieces = []
    for at, piece in enumerate(_MARK.split(text)):
        if at % 2:  # what stood in a mark
            claim = cited[at // 2] if cited else Claim("")
            pieces.append(" ".join(chip(name, facts_of(claim.facts, name)) for name in re.findall(r"E\d+", piece)))
        else:
            pieces.append(_FINDING.sub(r"[\g<0>](#\g<0>)", piece))
    return "".join(pieces)


def with_chips(answer: Answer) -> str:
    """An answer's text as Markdown, each mark leading to exactly what its sentence cites."""
    citing = [claim for claim in answer.claims if claim.evidence]
    marks = _MARK.findall(answer.text)
    return linked(answer.text, citing if len(marks) == len(citing) else ())


def chip(evidence: str, facts: Sequence[str] = ()) -> str:
    """A link to evidence, and to some of its facts."""
    return f"[{evidence}]({target(evidence, facts)})"


def target(evidence: str, facts: Sequence[str] = ()) -> str:
    """Where such a link leads."""
    return f"#{evidence}" + (f"/{quote('|'.join(facts[:FACTS]), safe='')}" if facts else "")


def duration(seconds: float) -> str:
    """A time as people say it; number and unit stay together."""
    return f"{1000 * seconds:.0f}\u00a0ms" if seconds < 1 else f"{seconds:.1f}\u00a0s"


def seal(answer: Answer) -> str:
    """The line under an answer: whether it was verified, against what, by whom it was written, what that took."""
    cited = sorted({name for claim in answer.claims for name in claim.evidence}, key=lambda name: int(name[1:]))
    count, out = sum(bool(claim.evidence) for claim in answer.claims), len(answer.removed)
    marks = " ".join(linked(f"[{name}]") for name in cited)
    told = f"{count} statement{'s' * (count != 1)} checked against {marks}" if cited else "no measured facts"
    badge = ("part", f"verified, {out} removed") if out and cited else ("good", "verified") if cited else ("", "")
    if out and not cited:
        badge = ("part", f"{out} removed")
    stamp = f'<span class="badge {badge[0]}">{badge[1]}</span> ' if badge[1] else ""
    took = f"{escape(answer.model)} · {duration(answer.seconds)}{spent(answer.usage)}"
    return f'<span class="seal">{stamp}{told} · {took}</span>'


def spent(usage: Usage) -> str:
    """Tokens and cost of an answer, where the provider tells them."""
    tokens = f" · {usage.read:,} tokens read, {usage.written:,} written" if usage.read or usage.written else ""
    return tokens + (f" · cost {format_number(usage.cost)}" if usage.cost is not None else "")
