"""Checks a written report against the store: what it says is gathered again and compared, line by line.

Reads HTML, Markdown and JSON reports. Ids of evidence and times of writing differ by nature and are left out; all other
words and figures must be as the store has them today. Findings are scored again as well, by the detector that flagged
them. Knows reports and the workspace; not how an answer is written.
"""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from assistant.pipeline import Workspace
from assistant.report.gathering import DETAILED
from assistant.report.writing import write_report
from detectors.errors import AnomalyError

MOST_BYTES = 200_000_000
TOLERANCE = 1e-3  # relative difference of a score that is computed again
_SUBJECT = re.compile(r"(?P<kind>incident|findings|run)(?P<ids>(?: [IFR]\d{1,9})+)")
_FIGURE = re.compile(r"\d+(?:\.\d+)?")
_BLOCKS = frozenset(["p", "h1", "h2", "h3", "th", "td", "dt", "dd", "figcaption", "tr", "section", "li"])
_PASSING = re.compile(  # ids of evidence, and when a tool was called
    r"\[?\[?\bE\d+\b\]?(?:\(#e\d+\))?|(?<=\) · ok) [\d:-]+ [\d:-]+$|(?<=\)` ok,) [\d:-]+ [\d:-]+$"
)

_PICTURES = re.compile(r"\]\([^)\s]*_files/")  # the folder is called after the file, which may have been renamed


@dataclass(frozen=True)
class Difference:
    """A line that does not hold any more; "" where there is none on that side."""

    report: str
    store: str


@dataclass(frozen=True)
class Checked:
    """What came of a check."""

    subject: str
    figures: int  # numbers in the report's lines
    differences: list[Difference]
    scored: int  # findings that were scored again

    @property
    def holds(self) -> bool:
        return not self.differences


def check_report(workspace: Workspace, report: str | Path) -> Checked:
    """Compare a written report with what the store says today.

    Raises:
        AnomalyError: no report, a form that cannot be read back, or a subject that the store does not have.
    """
    report = Path(report).expanduser()
    text = _read(report)
    kind, ids = _subject(text, report)
    about: dict[str, Any] = {"incident": ids[0]} if kind == "incident" else {"findings": ids}
    if kind == "run":
        about = {"run": ids[0]}
    with tempfile.TemporaryDirectory(prefix="anomaly-report-") as folder:
        again = write_report(workspace, Path(folder) / f"again{report.suffix.lower()}", **about)
        told, now = (list(_lines(one, report.suffix.lower())) for one in (text, again.read_text(encoding="utf-8")))
    scores = _scored_again(workspace, kind, ids)
    figures = sum(len(_FIGURE.findall(line)) for line in told)
    return Checked(f"{kind} {' '.join(ids)}", figures, [*_differences(told, now), *scores[1]], scores[0])


def _read(report: Path) -> str:
    if report.suffix.lower() not in (".html", ".md", ".json"):
        raise AnomalyError(f"{report} cannot be read back; give the report as .html, .md or .json.")
    try:
        if report.stat().st_size > MOST_BYTES:
            raise AnomalyError(f"{report} is larger than {MOST_BYTES // 1_000_000} MB; that is no report.")
        return report.read_text(encoding="utf-8")
    except OSError as error:
        raise AnomalyError(f"The report {report} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise AnomalyError(f"{report} is no report: it is not text.") from error


def _subject(text: str, report: Path) -> tuple[str, list[str]]:
    """What the report is about, as it says itself."""
    pattern = (
        r'"subject": "([^"]*)"' if report.suffix.lower() == ".json" else r'anomaly:subject"? (?:content=")?([^">]*)'
    )
    told = re.search(pattern, text)
    found = _SUBJECT.fullmatch(told[1].removesuffix("--").strip()) if told else None
    if found is None:
        raise AnomalyError(f"{report} does not say what it is about; it was not written by `anomaly report`.")
    return found["kind"], found["ids"].split()


# --- lines ----------------------------------------------------------------------------------------------------------


class _Blocks(HTMLParser):
    """The text of each block of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in _BLOCKS:
            self.lines.append("")
        self.silent += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.lines[-1] += data


def _lines(text: str, suffix: str) -> Iterator[str]:
    """What a report says, a line each, without what differs from one writing to the next."""
    if suffix == ".html":
        parser = _Blocks()
        parser.feed(text)
        raw = parser.lines
    else:
        raw = list(_leaves(json.loads(text))) if suffix == ".json" else text.splitlines()
    for line in raw:
        plain = " ".join(_PASSING.sub("", _PICTURES.sub("](", line)).split())
        if plain and not plain.startswith(("Written ", "created:")):
            yield plain


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    """ "findings.0.p_value: 0.0004", a line a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from () if key in ("created", "id", "evidence") and isinstance(inner, str) else _leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield f"{path}: {value}"


def _differences(told: list[str], now: list[str]) -> list[Difference]:
    found = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, told, now, autojunk=False).get_opcodes():
        if tag != "equal":
            left, right = told[a:b], now[c:d]
            length = max(len(left), len(right))
            pad = [*left, *[""] * (length - len(left))], [*right, *[""] * (length - len(right))]
            found += [Difference(*pair) for pair in zip(*pad, strict=True)]
    return found


# --- scores ---------------------------------------------------------------------------------------------------------


def _scored_again(workspace: Workspace, kind: str, ids: list[str]) -> tuple[int, list[Difference]]:
    """Score the detailed findings again with the detector that flagged them: (how many, what is another now)."""
    if kind == "incident":
        ids = list(workspace.store.incident(ids[0]).findings)
    elif kind == "run":
        ids = [finding.id for finding in workspace.store.findings(ids[0], limit=None)]
    differences = []
    for name in ids[:DETAILED]:
        finding = workspace.store.finding(name)
        try:
            with workspace.lock:
                specimen = workspace.specimen(finding)
                score = specimen.judge(specimen.samples()).score
        except AnomalyError as error:
            differences.append(Difference(f"{name}: score {finding.score:.4g}", f"cannot be scored again: {error}"))
            continue
        if abs(score - finding.score) > TOLERANCE * max(1.0, abs(finding.score)):
            differences.append(Difference(f"{name}: score {finding.score:.4g}", f"scored again: {score:.4g}"))
    return len(ids[:DETAILED]), differences
