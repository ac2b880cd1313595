"""Reports of findings and incidents: gathered from evidence, written as HTML, PDF, Markdown or JSON, checked again."""

from assistant.report.writing import (
    write_report,
)

__all__ = [
    "write_report",
]
