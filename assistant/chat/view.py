"""Turns records into the page's HTML: the queue, the finding in hand, evidence, suggestions.

Knows records, words and templates; not the store, tools, gradio or detectors. Names come from data: the templates
escape every value, and text for the chat's Markdown goes through `plain`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from markupsafe import Markup

from assistant import figures
from assistant.evidence import Evidence, Fact, format_number
from assistant.modalities import kind
from assistant.records import STATES, Finding, Run
from assistant.spread import NAMES, Spread
from assistant.words import arguments_text, data_uri, number, place, run_title, span, templates, title, when

_SHEETS = ("views.html.jinja", "centre.html.jinja", "incidents.html.jinja")
_FACTS_SHOWN = 160  # rows of an evidence panel; the rest stays in the store


def view(macro: str, *arguments: Any, **named: Any) -> str:
    """One part of the page, by the name of its macro in one of the sheets."""
    sheets = (templates().get_template(name).module for name in _SHEETS)
    return str(next(getattr(sheet, macro) for sheet in sheets if hasattr(sheet, macro))(*arguments, **named))


# --- the queue ----------------------------------------------------------------------------------------------------


def tally(states: Mapping[str, int]) -> dict[str, Any]:
    """How far the work has come: shares of the states in percent, and words."""
    total = max(1, sum(states.values()))
    done = total - states.get("new", 0) if states else 0
    return {
        "parts": [(state, f"{100 * states[state] / total:.1f}") for state in STATES if states.get(state)],
        "words": ", ".join(f"{states[state]:,} {state}" for state in STATES if states.get(state)),
        "done": f"{done:,} of {sum(states.values()):,} judged",
    }


def card(finding: Finding, thumb: str, of_many: bool = False) -> dict[str, Any]:
    """What a card of the queue shows; `thumb` is HTML made by `thumb_of`; `of_many`: runs, so that its own is named."""
    strength = min(1.0, -math.log10(max(finding.p_value, 1e-12)) / 6)
    return {
        "id": finding.id,
        "sample": finding.sample,
        "title": title(finding, short=True),
        "modality": finding.modality,
        "run": finding.run if of_many else "",
        "kind": "" if finding.kind == "unclear" else finding.kind,
        "state": finding.state,
        "p": format_number(finding.p_value),
        "place": place(finding),
        "strength": f"{100 * strength:.0f}",
        "thumb": Markup(thumb),  # noqa: S704 - own SVG or an image of our own encoding
    }


def thumb_of(finding: Finding, picture: bytes | None = None, signal: np.ndarray | None = None, band: Any = None) -> str:
    """A card's picture as HTML: an image, a sparkline, or the bars of the leading features."""
    if picture is not None:
        return f'<img src="{data_uri(picture)}" alt="" width="88" height="66">'
    if signal is not None:
        return figures.sparkline(signal, band)
    bars = "".join(
        f'<span class="mini"><i style="width:{100 * part["share"]:.0f}%"></i>'
        f"<em>{escape(str(part['name']))}</em></span>"
        for part in finding.parts[:3]
    )
    return f'<span class="minis">{bars}</span>'


# --- the finding in hand ------------------------------------------------------------------------------------------


def head(finding: Finding, run: Run) -> str:
    """Name, state, actions and the strip of facts."""
    tail = "beyond every calibration score: read off the fitted tail" if finding.extrapolated else ""
    named = "place" if kind(finding.modality).pictured else f"{kind(finding.modality).part}s"
    facts = [
        ("p-value", ("≈ " if finding.extrapolated else "") + format_number(finding.p_value), tail),
        ("alpha", format_number(finding.alpha), "flagged when the p-value is at most alpha"),
        ("score", format_number(finding.score), "higher is more anomalous; compare p-values, not scores"),
        (named, place(finding), ""),
        ("run", f"{run.id} · {run_title(run)}", f"{run.source}, {run.method}, detected {when(finding.created)}"),
    ]
    if finding.kind:
        sure = f"confidence {100 * (finding.kind_confidence or 0.0):.0f} %, from what was measured at the place"
        facts.insert(3, ("kind", finding.kind, sure))
    if finding.fitted_p is not None:
        before = "before the false alarms that people labelled counted as normal"
        facts.insert(1, ("as fitted", format_number(finding.fitted_p), before))
    if finding.ignored:
        facts.append(("ignored by", finding.ignored, "see the Feedback tab"))
    if finding.incident:
        facts.append(("incident", finding.incident, ""))
    if finding.note:
        facts.append(("note", finding.note, ""))
    return view("head", finding, title(finding), facts)


def image_stage(image: Mapping[str, Any]) -> str:
    """The input under its map, and the before/after pane. Keys as in the `stage` macro."""
    return view("stage", {**image, "ramp": figures.RAMP_CSS, "ends": figures.RAMP_ENDS})


def svg_paths(lines: Iterable[np.ndarray]) -> list[str]:
    """Outlines (n, 2) as SVG path data."""
    return ["M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line) + "Z" for line in lines]


def parts_table(
    finding: Finding, row: Mapping[str, Any] | None = None, spreads: Mapping[str, Spread] | None = None
) -> str:
    """The ranked places or parts with what was observed and expected.

    Args:
        row: all values of a table's row.
        spreads: how a table's features are spread in the rows of the run that were not flagged.
    """
    if finding.modality == "image":
        by_name = {part["name"]: part for part in finding.parts}
        rows = [_image_row(i, region, by_name.get(region["name"], {})) for i, region in enumerate(finding.regions, 1)]
        head_ = ("place", "position", "size", "peak", "grey observed", "grey expected")
        return view("parts", "Where the score lies", head_, rows)
    if kind(finding.modality).pictured:
        rows = [_place_row(i, region) for i, region in enumerate(finding.regions, 1)]
        places = view("parts", "Where the score lies, at the peak frame", ("place", "position", "size", "peak"), rows)
        rows = [
            {"cells": (p["name"], number(p["observed"]), number(p["expected"])), "share": p["share"]}
            for p in finding.parts
        ]
        return places + view("parts", "What carries it", ("part", "observed", "expected"), rows)
    rows = [
        {"cells": (p["name"], number(p["observed"]), number(p["expected"])), "share": p["share"]} for p in finding.parts
    ]
    if finding.modality == "multimodal":
        shares = [
            {"cells": (r["name"], ", ".join(r.get("channels") or ()) or r.get("position", "")), "share": r["share"]}
            for r in finding.regions
        ]
        table = view("parts", "Parts, the one that explains most first", ("part", "where in it"), shares)
        return table + view("parts", "What in them departs", ("channel", "observed", "expected"), rows)
    if finding.modality != "series":
        named = ("feature", "observed", "expected")
        for told, part in zip(rows, finding.parts, strict=True):
            told["spread"] = spread_cell(part, (spreads or {}).get(str(part["name"])))
        table = view(
            "parts", "Features, the most guilty first", named, rows, spread="among rows not flagged" if spreads else ""
        )
        guilty = {part["name"] for part in finding.parts}
        rest = [(name, number(value)) for name, value in (row or {}).items() if name not in guilty]
        return table + (view("rest", "The rest of the row, nothing odd in it", rest) if rest else "")
    table = view("parts", "Channels, at the peak of the event", ("channel", "observed", "expected"), rows)
    return table + view("parts", "Intervals", ("interval", "when", "stamps", "channels"), _intervals(finding))


def spread_cell(part: Mapping[str, Any], spread: Spread | None) -> Markup:
    """What is ordinary behind a feature's value: counts with lines where it was observed and expected, and words."""
    if spread is None:
        return Markup("")
    words = spread.words(part["observed"])
    marks = [
        (place, kind)
        for kind, value in (("wanted", part["expected"]), ("seen", part["observed"]))
        if (place := _place_among(spread, value)) is not None
    ]
    drawn = figures.spread_svg(spread.counts[: len(spread.counts) if spread.edges else NAMES], marks, words)
    return Markup(f'{drawn}<span class="spread-words">{escape(words)}</span>')  # noqa: S704 - own SVG, words escaped


def _place_among(spread: Spread, value: Any) -> float | None:
    """Where a value stands on the width of a spread, 0..1; None where it is not among what is drawn."""
    if spread.edges:
        if not isinstance(value, int | float) or not math.isfinite(value):
            return None
        low, high = spread.edges[0], spread.edges[-1]
        return min(0.99, max(0.01, (float(value) - low) / (high - low)))
    shown = spread.names[:NAMES]
    return (shown.index(str(value)) + 0.5) / len(shown) if str(value) in shown else None


def _image_row(rank: int, region: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    row = _place_row(rank, region)
    values = (number(part.get("observed")), number(part.get("expected")))
    return {**row, "cells": (*row["cells"], *values)}


def _place_row(rank: int, region: Mapping[str, Any]) -> dict[str, Any]:
    left, top, right, bottom = region["box"]
    size = f"{right - left} × {bottom - top} px"
    peak = f"{format_number(float(region['peak']))}×"
    return {"cells": (str(rank), region.get("position", ""), size, peak), "share": region["share"]}


def _intervals(finding: Finding) -> list[dict[str, Any]]:
    return [
        {"cells": (r["name"], span(r), r["end"] - r["start"], ", ".join(r.get("channels", ()))), "share": r["share"]}
        for r in finding.regions
        if r.get("start") is not None
    ]


# --- evidence -----------------------------------------------------------------------------------------------------


def evidence_panel(evidence: Evidence, pictures: Sequence[str], cited: Iterable[str] = ()) -> str:
    """What one [E7] says: first the facts that a sentence cites ("F12.p_value"); pictures are data URIs."""
    wanted = set(cited)
    first = fact_rows([fact for fact in evidence.facts if f"{fact.subject}.{fact.field}" in wanted])
    rows = fact_rows(evidence.facts[:_FACTS_SHOWN])
    more = max(0, len(evidence.facts) - _FACTS_SHOWN)
    shown = {**evidence.to_dict(), "created": when(evidence.created)}
    return view("evidence", shown, arguments_text(evidence.arguments), rows, pictures, more, first)


def fact_rows(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Facts as rows of a ledger; a subject is named once."""
    rows, last = [], None
    for fact in facts:
        owner = re.match(r"[FRI]\d+(?=/|$)", fact.subject)
        rows.append(
            {
                "subject": fact.subject,
                "first": fact.subject != last,
                "link": owner[0] if owner else "",
                "field": fact.field.replace("_", " "),
                "value": number(fact.value),
                "unit": fact.unit,
            }
        )
        last = fact.subject
    return rows
