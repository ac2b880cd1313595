"""Says numbers, times and places in words, and opens the templates of the page and of the reports.

Knows records and words; not the store, tools, gradio or detectors.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from assistant.evidence import format_number
from assistant.modalities import kind
from assistant.records import Finding, Run


@cache
def templates() -> Environment:
    """The templates of the page and of the reports; HTML is escaped, unknown names are errors."""
    environment = Environment(
        loader=PackageLoader("assistant", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = markdown
    return environment


def markdown(text: Any) -> str:
    """Text from data for Markdown: nothing in it is a link, a tag, a heading or a cell."""
    return re.sub(r"([\\`*_{}\[\]#!|~$])", r"\\\1", escape(str(text), quote=False)).replace("\n", " ")


def data_uri(data: bytes, kind: str = "image/webp") -> str:
    """Bytes as an address that can stand in an `img`."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def number(value: Any) -> str:
    """A value as the page writes it: four significant digits, words as they are, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format_number(value)
    return str(value)


def when(text: str | None) -> str:
    """An ISO time, shortened to minutes (seconds where they matter)."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def span(region: Mapping[str, Any]) -> str:
    """When an interval happened: its times where stamps are known, else its indices."""
    start, end = when(region.get("start_time")), when(region.get("end_time"))
    if not start:
        return f"{region['start']} to {region['end'] - 1}"
    return f"{start} to {end[11:] if end[:10] == start[:10] else end}"


def title(finding: Finding, short: bool = False) -> str:
    """What a finding is called: when an event happened, where stamps are known, else the sample's name."""
    stamped = [r for r in finding.regions if r.get("start_time")]
    if finding.modality not in ("series", "multimodal") or not stamped:
        return finding.sample
    first, last = min(r["start_time"] for r in stamped), max(r["end_time"] for r in stamped)
    told = span({"start_time": first, "end_time": last})
    return told[5:].replace(" to ", "–") if short else told


def place(finding: Finding) -> str:
    """Where in its sample the finding lies, in a few words: places, channels or features with their shares."""
    if kind(finding.modality).pictured:
        spots = [(r["position"], r["share"]) for r in finding.regions if r.get("position")]
    else:
        spots = [(part["name"], part["share"]) for part in finding.parts]
    told = [f"{name} {100 * share:.0f} %" for name, share in spots[:2]]
    return " · ".join(told) or "spread over the whole sample"


def flag_level(run: Run) -> float | None:
    """The score from which a run flagged, where alpha alone decided."""
    level = run.info.get("threshold") if run.fdr is None else None
    return float(level) if isinstance(level, int | float) else None


def run_title(run: Run) -> str:
    """The last two parts of a run's source: file names alone are often the same from run to run."""
    return "/".join(Path(run.source).parts[-2:]).lstrip("/") or run.source


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """Arguments of a call as they were given; absent ones are left out."""
    given = ((key, value) for key, value in arguments.items() if value is not None)
    return ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given)
