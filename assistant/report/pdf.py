"""A report as PDF: the same content as the other forms, every figure linked to its evidence at the end.

Turns `Content` into pages with reportlab. Knows layout; not tools, stores or detectors. Text from data is escaped: it
can be no markup.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from assistant.report.facts import Sentence
from assistant.report.gathering import Content
from assistant.report.items import Item, Picture
from assistant.report.items import Table as Told

WIDTH = A4[0] - 36 * mm
INK, MUTED, LINE, ACCENT = (HexColor(code) for code in ("#171c23", "#56606c", "#dde2e8", "#0b5cad"))
HOW = (
    "A p-value is the share of normal samples that look at least as unusual; a sample is flagged when its p-value is "
    "at most alpha. It is not the probability of a defect."
)
LONGEST = 400  # characters of one value in a table


def as_pdf(content: Content, evidence: Sequence[dict[str, Any]]) -> bytes:
    """The report; `evidence` are the rows of `report.template_data`."""
    known = {one.id for one in content.evidence}
    pages: list[Flowable] = [_text(content.title, "title")]
    pages.append(
        _text(
            f"Written {content.created} by anomaly-assistant {content.version} from the store {content.store}. Each "
            f"figure carries the id of the evidence that it was read from; the evidence stands at the end.",
            "small",
        )
    )
    pages += [_text(content.note, "body")] if content.note else []
    pages += [_sentence(one, known) for one in content.summary]
    if len(content.findings) > 1 or content.others:
        pages += [_text("Findings", "head"), _overview([*content.findings, *content.others], known)]
        pages += [_text(f"{content.left_out} more are not listed.", "small")] if content.left_out else []
    for item in content.findings:
        pages += _finding(item, known)
    pages.append(_text("How it was measured", "head"))
    for run in content.runs:
        pages.append(_marked(run["title"], run["evidence"], known, "sub"))
        pages.append(_grid([[name, value] for name, value in run["lines"]], (38 * mm, WIDTH - 38 * mm)))
        pages += [_text(f"Left out: {name} ({reason})", "small") for name, reason in run["skipped"]]
    pages += [Spacer(1, 3 * mm), _text(HOW, "small"), _text("Evidence", "head")]
    for one in evidence:
        pages += _evidence(one)
    out = BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=16 * mm, bottomMargin=16 * mm,
        title=content.title, author="anomaly-assistant", subject=content.subject,
    )  # fmt: skip
    document.build(pages, onFirstPage=_footer, onLaterPages=_footer)
    return out.getvalue()


# --- parts ----------------------------------------------------------------------------------------------------------


def _overview(items: Sequence[Item], known: Set[str]) -> Flowable:
    head = ["id", "what", "when", "where", "p-value", "repaired", "state"]
    rows = [
        [f.id, f.title, f.when, f.where, (f.p_value, f.described), (f.verdict, f.explained), f.state] for f in items
    ]
    shares = (0.07, 0.24, 0.15, 0.16, 0.13, 0.15, 0.10)
    return _grid(rows, [share * WIDTH for share in shares], head, known)


def _finding(item: Item, known: Set[str]) -> list[Flowable]:
    facts = [[fact["name"], (fact["value"], fact["evidence"])] for fact in item.facts]
    parts: list[Flowable] = [
        KeepTogether([_text(f"{item.id} · {item.title}", "head"), _grid(facts, (30 * mm, 80 * mm), None, known)])
    ]
    parts += [Spacer(1, 2 * mm), *(_sentence(one, known) for one in item.sentences)]
    narrow = [picture for picture in item.pictures if not picture.wide]
    if narrow:
        width = WIDTH / max(3, len(narrow)) - 2 * mm
        parts.append(
            KeepTogether(
                [
                    Table(
                        [[_picture(one, width, known) for one in narrow]],
                        hAlign="LEFT",
                        style=[("VALIGN", (0, 0), (-1, -1), "TOP")],
                    )
                ]
            )
        )
    parts += [KeepTogether(_picture(one, WIDTH, known)) for one in item.pictures if one.wide]
    for table in item.tables:
        parts += [_marked(table.title, table.evidence, known, "sub"), _told(table)]
    return [*parts, *_listed("Ruled out", item.ruled_out, known), *_listed("Worth checking", item.checks, known)]


def _listed(title: str, said: Sequence[Sentence], known: Set[str]) -> list[Flowable]:
    points = [_marked(f"\u2022 {one.text}", one.evidence, known, "body") for one in said]
    return [_text(title, "sub"), *points] if said else []


def _told(table: Told) -> Flowable:
    head = [*table.head]
    return _grid([row["cells"] for row in table.rows], [WIDTH / len(head)] * len(head), head)


def _picture(picture: Picture, width: float, known: Set[str]) -> list[Flowable]:
    image = Image(BytesIO(picture.data))
    height = width * image.imageHeight / image.imageWidth
    shrink = min(1.0, 110 * mm / height)
    image.drawWidth, image.drawHeight = width * shrink, height * shrink
    image.hAlign = "LEFT"
    return [image, _marked(picture.caption, picture.evidence, known, "small")]


def _evidence(one: dict[str, Any]) -> list[Flowable]:
    call = escape(f"{one['id']} · {one['tool']}({one['arguments']}) · {one['status']}")
    parts: list[Flowable] = [Paragraph(f'<a name="{one["id"]}"/>{call}', _styles()["mono"])]
    parts += [_text(one["note"], "small")] if one["note"] else []
    rows = [[row["subject"], "; ".join(f"{field} {value}" for field, value in row["facts"])] for row in one["facts"]]
    return [*parts, _grid(rows, (42 * mm, WIDTH - 42 * mm))] if rows else parts


# --- words and grids ------------------------------------------------------------------------------------------------


def _text(text: str, style: str) -> Paragraph:
    return Paragraph(escape(text), _styles()[style])


def _sentence(sentence: Sentence, known: Set[str]) -> Paragraph:
    return _marked(sentence.text, sentence.evidence, known, "body")


def _marked(text: str, evidence: str, known: Set[str], style: str) -> Paragraph:
    return Paragraph(escape(text) + _mark(evidence, known), _styles()[style])


def _mark(evidence: str, known: Set[str]) -> str:
    """A link to the evidence; "" where there is none."""
    if evidence not in known:
        return ""
    return f' <a href="#{evidence}" color="#0b5cad"><font size="7">[{evidence}]</font></a>'


def _grid(
    rows: Sequence[Sequence[Any]],
    widths: Sequence[float],
    head: Sequence[str] | None = None,
    known: Set[str] = frozenset(),
) -> Table:
    """A table; a cell is a text, or a text with the evidence that it was read from."""
    cells = [[_cell(cell, known) for cell in row] for row in rows]
    if head:
        cells.insert(0, [_text(name, "small") for name in head])
    table = Table(cells, colWidths=list(widths), repeatRows=1 if head else 0, hAlign="LEFT")
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE), ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 6),
                ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
    )  # fmt: skip
    return table


def _cell(cell: Any, known: Set[str]) -> Paragraph:
    text, evidence = cell if isinstance(cell, tuple) else (cell, "")
    text = str(text)
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return Paragraph(escape(short) + _mark(evidence, known), _styles()["cell"])


def _footer(canvas: Any, document: Any) -> None:
    canvas.setFont("Sans", 7.5)
    canvas.setFillColor(MUTED)
    canvas.drawRightString(A4[0] - 18 * mm, 9 * mm, f"{document.page}")


@cache
def _styles() -> dict[str, ParagraphStyle]:
    """Styles by name; the fonts are those that matplotlib brings along."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name, file in (("Sans", "DejaVuSans"), ("Bold", "DejaVuSans-Bold"), ("Mono", "DejaVuSansMono")):
        pdfmetrics.registerFont(TTFont(name, str(fonts / f"{file}.ttf")))
    base = ParagraphStyle(
        "body", fontName="Sans", fontSize=9, leading=12.5, textColor=INK, spaceAfter=4, splitLongWords=1
    )
    own: dict[str, dict[str, Any]] = {
        "body": {},
        "title": {"fontName": "Bold", "fontSize": 15, "leading": 19, "spaceAfter": 3},
        "head": {
            "fontName": "Bold",
            "fontSize": 11.5,
            "leading": 15,
            "spaceBefore": 12,
            "spaceAfter": 4,
            "keepWithNext": 1,
        },
        "sub": {"fontName": "Bold", "fontSize": 9, "leading": 12, "spaceBefore": 6, "spaceAfter": 2, "keepWithNext": 1},
        "small": {"fontSize": 7.5, "leading": 10, "textColor": MUTED},
        "cell": {"fontSize": 7.5, "leading": 9.5, "spaceAfter": 0},
        "mono": {"fontName": "Mono", "fontSize": 7, "leading": 9.5, "spaceBefore": 7, "spaceAfter": 1},
    }
    return {name: ParagraphStyle(name, base, **changes) for name, changes in own.items()}
