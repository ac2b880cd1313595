"""Writes reports: one HTML file, PDF, Markdown with its pictures beside it, or JSON. Knows files, forms; not tools.

What a report says is gathered in `report_data`; here it only takes its form.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.pipeline import Workspace
from assistant.report.facts import shown
from assistant.report.gathering import Content, gather
from assistant.report.items import Item
from assistant.words import arguments_text, data_uri, templates, when
from detectors.errors import AnomalyError

FORMATS = (".html", ".pdf", ".md", ".json")


def write_report(
    workspace: Workspace,
    out: str | Path,
    incident: str | None = None,
    findings: Sequence[str] | None = None,
    run: str | None = None,
) -> Path:
    """Write a report about an incident, about findings, or (neither given) about a run, by default the latest.

    Args:
        out: the file; its ending chooses the form. Markdown puts its pictures into a folder beside it.

    Raises:
        AnomalyError: an unknown form, ids that are not there, or a place that cannot be written.
    """
    out = Path(out).expanduser()
    check_form(out)
    content = gather(workspace, incident, findings, run)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        data = _FORMS[out.suffix.lower()](content, out)
        draft = out.with_name(f".{out.name}.{os.getpid()}")
        draft.write_bytes(data if isinstance(data, bytes) else data.encode())
        draft.replace(out)
    except OSError as error:
        raise AnomalyError(f"The report cannot be written to {out}: {error.strerror or error}.") from error
    return out


def check_form(out: Path) -> None:
    """Refuse forms that are not written, naming those that are."""
    suffix = out.suffix.lower()
    if suffix not in FORMATS:
        raise AnomalyError(
            f"A report ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, not {suffix or 'nothing'!r}: {out}."
        )


def as_html(content: Content, _out: Path) -> str:
    """One self-contained file: no script, no address outside it."""
    told = template_data(content, lambda picture: data_uri(picture.data, "image/png"))
    return templates().get_template("report.html.jinja").render(r=told)


def as_pdf(content: Content, _out: Path) -> bytes:
    """Pages to print or to send."""
    from assistant.report.pdf import as_pdf as paged

    return paged(content, evidence_rows(content))


def as_markdown(content: Content, out: Path) -> str:
    """Markdown; its pictures go into `<name>_files` beside it."""
    folder = out.with_name(f"{out.stem}_files")

    def keep(picture: Any) -> str:
        folder.mkdir(exist_ok=True)
        (folder / picture.name).write_bytes(picture.data)
        return f"{folder.name}/{picture.name}".replace(" ", "%20")

    told = template_data(content, keep)
    text = templates().get_template("report.md.jinja").render(r=told)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def as_json(content: Content, _out: Path) -> str:
    """Everything but the pictures, with every fact at full precision."""
    plain = asdict(content)
    for item in plain["findings"]:
        item["pictures"] = [
            {"name": p["name"], "caption": p["caption"], "evidence": p["evidence"]} for p in item["pictures"]
        ]
        for table in item["tables"]:
            table["rows"] = [row["cells"] for row in table["rows"]]
    return json.dumps({"format": 1, **plain}, ensure_ascii=False, indent=2, default=str) + "\n"


def template_data(content: Content, address: Any) -> dict[str, Any]:
    """The content as the templates take it; `address` turns a picture into what an `img` points to."""
    findings = [item_data(item, address) for item in content.findings]
    return {**vars(content), "findings": findings, "evidence": evidence_rows(content)}


def evidence_rows(content: Content) -> list[dict[str, Any]]:
    """The evidence as templates and pages take it."""
    return [
        {
            "id": one.id,
            "tool": one.tool,
            "arguments": arguments_text(one.arguments),
            "status": one.status,
            "created": when(one.created),
            "note": one.note,
            "facts": ledger_rows(one.facts),
        }
        for one in content.evidence
    ]


def item_data(item: Item, address: Any) -> dict[str, Any]:
    """A finding as the templates take it."""
    pictures = [{**vars(picture), "address": address(picture)} for picture in item.pictures]
    return {**vars(item), "pictures": pictures}


def ledger_rows(facts: Sequence[Any]) -> list[dict[str, Any]]:
    """Facts by subject, in order: [{"subject", "facts": [(field, value with unit)]}]."""
    rows: list[dict[str, Any]] = []
    for fact in facts:
        if not rows or rows[-1]["subject"] != fact.subject:
            rows.append({"subject": fact.subject, "facts": []})
        rows[-1]["facts"].append((fact.field.replace("_", " "), shown(fact)))
    return rows


_FORMS: dict[str, Callable[[Content, Path], str | bytes]] = {
    ".html": as_html,
    ".pdf": as_pdf,
    ".md": as_markdown,
    ".json": as_json,
}
