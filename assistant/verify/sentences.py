"""Splits an answer into sentences with the evidence each cites, and puts verified ones together again.

Knows Markdown lines and citation marks; not evidence. A mark may stand inside a sentence, at its end, or right after
its full stop; rows of a table and the line before a list share the marks below them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_MARK = re.compile(r"\s*[\[(【]\s*(?:evidence\s*:?\s*)?(E\d+(?:\s*(?:[,;&]|and)\s*E\d+)*)\s*[\])】]", re.I)
_END = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bca)(?<!\bapprox)(?<!\bDr)(?<!\bresp)(?<!\bincl)(?<!\bmax)(?<!\bmin)"
    r"[.!?…]+[\"'”’)*_]*(?=\s|$)(?!\s+[a-z(])"
)
QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|`[^`]*`")  # names from data may look like marks
_PREFIX = re.compile(r"\s*(?:(?:[-*•+]|\d{1,2}[.)])\s+|#{1,6}\s+|>\s+)?")
_EMPHASIS = re.compile(r"\*\*|__|(?<![\w*])[*_](?=\S)|(?<=\S)[*_](?![\w*])")


@dataclass(frozen=True)
class Sentence:
    """One sentence of an answer, without its marks."""

    text: str
    cites: tuple[str, ...]
    prefix: str = ""  # "- ", "1. ", "## ": what the line begins with
    line: int = 0
    lends: bool = False  # a line ending in a colon, or a table's row: takes marks from its neighbours

    @property
    def bare(self) -> str:
        """The text without Markdown emphasis, for reading."""
        return _EMPHASIS.sub("", self.text)


def split(answer: str) -> list[Sentence]:
    """The sentences of an answer in order."""
    found: list[Sentence] = []
    for number, line in enumerate(answer.splitlines()):
        if re.fullmatch(r"[\s|:*_-]*", line):
            continue
        found += _of_line(line, number)
    return _lend(found)


def join(sentences: list[Sentence]) -> str:
    """An answer from sentences: lines as they were, marks before each full stop."""
    lines: dict[int, list[str]] = {}
    for sentence in sentences:
        start = sentence.prefix if sentence.line not in lines else ""
        lines.setdefault(sentence.line, []).append(start + marked(sentence))
    out, last = [], None
    for number, pieces in lines.items():
        if last is not None and number > last + 1:
            out.append("")
        out.append(" ".join(pieces))
        last = number
    return "\n".join(out)


def marked(sentence: Sentence) -> str:
    """ "The p-value is 0.0004 [E7]." """
    if not sentence.cites:
        return sentence.text
    found = re.search(r"\s*[.!?…:]*[\"'”’)*_]*$", sentence.text)
    cut = found.start() if found else len(sentence.text)
    if sentence.text.rstrip().endswith("|"):
        cut = sentence.text.rstrip().rfind("|")
    return f"{sentence.text[:cut].rstrip()} [{', '.join(sentence.cites)}]{sentence.text[cut:].rstrip() or ''}"


def _of_line(line: str, number: int) -> list[Sentence]:
    prefix = _PREFIX.match(line)
    head = prefix[0] if prefix else ""
    rest = line[len(head) :]
    if rest.lstrip().startswith("|"):
        return [_sentence(rest, head, number)]
    pieces, start = [], 0
    for match in _END.finditer(rest):
        end = match.end()
        while mark := _MARK.match(rest, end):  # marks after the full stop belong to the sentence before
            end = mark.end()
        if end > start:
            pieces.append(rest[start:end])
            start = end
    pieces.append(rest[start:])
    whole = [piece for piece in pieces if piece.strip(" \t.;,")]
    return [_sentence(piece, head if i == 0 else "", number) for i, piece in enumerate(whole)]


def _sentence(piece: str, prefix: str, line: int) -> Sentence:
    quoted = [match.span() for match in QUOTED.finditer(piece)]
    marks = [m for m in _MARK.finditer(piece) if not any(start < m.start() < end for start, end in quoted)]
    cites = [name.upper() for mark in marks for name in re.findall(r"E\d+", mark[1], re.I)]
    text = piece
    for mark in reversed(marks):
        text = text[: mark.start()] + text[mark.end() :]
    text = re.sub(r"\s+([.,;:!?])", r"\1", text).strip()
    row = text.startswith("|")
    return Sentence(text, tuple(dict.fromkeys(cites)), prefix, line, row or text.rstrip("*_ ").endswith(":"))


def _lend(sentences: list[Sentence]) -> list[Sentence]:
    """Give rows of a table and lines before a list the marks of their block."""
    out = list(sentences)
    for i, sentence in enumerate(sentences):
        if sentence.lends and not sentence.cites:
            if sentence.text.startswith("|"):
                rows = [k for k, s in enumerate(sentences) if s.text.startswith("|")]
                block = [*(sentences[k] for k in rows), *sentences[rows[-1] + 1 :][:1]]
            else:
                block = []
                for later in sentences[i + 1 :]:
                    if later.prefix.strip() or later.text.startswith("|"):
                        block.append(later)
                    else:
                        break
            cites = tuple(dict.fromkeys(name for s in block for name in s.cites))
            out[i] = replace(sentence, cites=cites)
    return out
