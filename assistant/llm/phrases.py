"""Writes sentences: picks a wording, fills in facts as a reader wants to see them, and puts the citation at the end.

The wordings are data (`prompts/narrator/phrases.yaml`). Knows facts, rounding and wordings; not tools, questions or the
conversation. A number is shown as a correct rounding of its fact, never computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from hashlib import sha256
from importlib import resources
from string import Formatter
from typing import Any

import yaml

from assistant.evidence import Evidence, Fact

_WORDS_OF_A_NAME = 3  # a longer name is quoted
_PLAIN_NAME = re.compile(r"[\w][\w .,/()%:~+\-]{0,79}")
_MARK = re.compile(r"\[?\bE\d+\b\]?")


class Pen:
    """Writes the sentences of one answer. The same question always gets the same wordings."""

    def __init__(self, question: str):
        self.question = question
        self.sentences: list[str] = []  # a line of its own where it begins with "- "
        self.asks_back = False

    def say(self, key: str, evidence: Sequence[Evidence], slots: Mapping[str, Any]) -> bool:
        """Add the sentence `key` if all its slots are known; whether it was added."""
        filled = self.fill(key, slots)
        if filled is None:
            return False
        sentence = _cite(_opened(filled), evidence)
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        self.asks_back |= filled.endswith("?")
        return True

    def fill(self, key: str, slots: Mapping[str, Any]) -> str | None:
        """The wording of `key` with its slots filled, None where a slot is not known."""
        shown = {
            name: self.part(value) if name == "part" and isinstance(value, str) else show(value)
            for name, value in slots.items()
        }
        wordings = [
            text for text in phrases()[key] if all(shown.get(name) for _, name, _, _ in Formatter().parse(text) if name)
        ]
        if not wordings:
            return None
        text = wordings[self._pick(key, len(wordings))].format(**shown)
        return re.sub(r"(?<![\w.,])1 (finding|sample|event|region|stamp)s\b", r"1 \1", text)

    def quote(self, text: str, evidence: Evidence) -> None:
        """Add a tool's own words, sentence by sentence, each with its citation."""
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z\"])", text.strip()):
            self.sentences.append(_cite(sentence, [evidence]))

    def item(self, text: str, *evidence: Evidence) -> None:
        """Add a line of a list."""
        self.sentences.append("- " + _cite(text, evidence))

    def text(self, without: Iterable[str] = (), most: int | None = None) -> str:
        """The answer, at most its first `most` sentences; sentences in `without` are left out."""
        left = [sentence for sentence in self.sentences if _bare(sentence) not in {_bare(one) for one in without}]
        left = left[:most]
        return re.sub(r" ?\n ?", "\n", " ".join(f"\n{one}" if one.startswith("- ") else one for one in left)).strip()

    @staticmethod
    def fact(fact: Fact) -> str:
        """A fact's value as a reader wants to see it."""
        return show_fact(fact)

    @staticmethod
    def fill_fact(label: str, fact: Fact) -> str:
        """A fact with its name: p-value 0.0004."""
        return f"{label} {show_fact(fact)}"

    def finding(self, evidence: Evidence, name: str, short: bool = False) -> str:
        """A finding with the name of its sample: F3 (part_017.png)."""
        sample = next((fact.value for fact in evidence.facts if fact.subject == name and fact.field == "sample"), None)
        modality = next((str(fact.value) for fact in evidence.facts if fact.field == "modality"), "")
        label = self.name(str(sample), modality) if sample is not None else ""
        if not label or ".." in label or clock(str(sample)) or (short and len(label) > 30) or _MARK.search(label):
            return name
        return f"{name} ({label})"

    @staticmethod
    def name(sample: str, modality: str = "") -> str:
        """The name of a sample from data: row 217 for a bare number of a table; quoted where it is no plain name."""
        if clock(sample):
            return "that moment"
        if sample.isdigit():
            return f"row {sample}" if modality in ("table", "") else f"sample {sample}"
        return Pen.part(sample)

    @staticmethod
    def part(name: str) -> str:
        """The name of a channel or feature from data; quoted where it could be read as a sentence."""
        plain = _PLAIN_NAME.fullmatch(name) and name.count(" ") < _WORDS_OF_A_NAME
        return name if plain else '"' + name.replace('"', "'")[:80] + '"'

    @staticmethod
    def names(names: Sequence[str]) -> str:
        """a, b and c."""
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    @staticmethod
    def alternatives(names: Sequence[str]) -> str:
        """a, b or c."""
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"

    def _pick(self, key: str, count: int) -> int:
        return int.from_bytes(sha256(f"{self.question.lower()}|{key}".encode()).digest()[:4], "big") % count


def show(value: Any) -> str:
    """A slot as a reader wants to see it: facts with their unit, rounded by what they are; "" for nothing."""
    if isinstance(value, Fact):
        return show_fact(value)
    if value is None:
        return ""
    return rounded(value, 3) if isinstance(value, float) else str(value)


def show_fact(fact: Fact) -> str:
    """A fact's value with its unit."""
    value, key = fact.value, fact.field
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        moment = clock(value) if key in ("start_time", "end_time", "created", "time") else None
        return moment or (value if key in _WORDS else Pen.name(value, "value"))
    if key in ("share", "flagged_share"):
        return f"{percent(value)}%"
    text = str(value) if isinstance(value, int) else rounded(value, 2 if "p_value" in key else 3)
    unit = fact.unit
    return f"{text}{'' if unit == '%' else ' '}{unit}" if unit else text


_WORDS = frozenset(
    ["position", "state", "label", "modality", "run", "most_anomalous", "finding", "verdict",
     "kind", "second_kind", "nearest_kind"]
)  # fmt: skip


def percent(value: float) -> str:
    """A share in percent: whole where that says enough, one decimal below 10 and above 99."""
    if value < 10 or 99 <= value < 100:
        return rounded(value, 2 if value < 10 else 3)
    return rounded(value, 2) if value < 99.5 else "100"


def rounded(value: float, digits: int) -> str:
    """Rounded to significant digits; the integer part is never cut. Values that come rounded already and lie on the
    edge between two roundings keep one digit more, so that rounding twice never goes wrong."""
    exact = Decimal(str(value))
    if not exact.is_finite() or exact == 0:
        return str(value) if not exact.is_finite() else "0"
    if abs(exact) < Decimal("0.000001"):
        return f"{exact:.1e}"
    places = max(0, digits - 1 - exact.adjusted())
    step = Decimal(1).scaleb(-places)
    near = exact.quantize(step, rounding=ROUND_HALF_EVEN)
    if abs(exact - near) * 2 == step:
        near = exact
    text = f"{near:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def clock(text: str) -> str | None:
    """An ISO time as 02:14 on 3 November 2026; None where it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = f":{moment:%S}" if moment.second else ""
    return f"{moment:%H:%M}{seconds} on {moment.day} {moment:%B %Y}"


def span(start: Fact | None, end: Fact | None) -> str:
    """From one time to another, the date said once where it is the same: from 09:30 to 11:04 on 3 November 2026."""
    one, two = (show_fact(fact) if fact is not None else "" for fact in (start, end))
    if not one or not two:
        return ""
    if one.partition(" on ")[2] == two.partition(" on ")[2]:
        one = one.partition(" on ")[0]
    return f"from {one} to {two}"


@cache
def phrases() -> dict[str, list[str]]:
    """All wordings by key."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (resources.files("prompts") / "narrator" / "phrases.yaml").read_text(encoding="utf-8")
    return {key: [str(one) for one in texts] for key, texts in yaml.load(text, Loader=loader).items()}  # noqa: S506


def _opened(text: str) -> str:
    """With a capital at its beginning, unless it begins with a name such as cpu_0."""
    return text[0].upper() + text[1:] if text[:1].islower() and not re.match(r"\w*[_\d]", text) else text


def _cite(text: str, evidence: Sequence[Evidence]) -> str:
    ids = list(dict.fromkeys(one.id for one in evidence))
    if not ids:
        return text
    end = re.search(r"[.:!?]*$", text)
    cut = end.start() if end else len(text)
    return f"{text[:cut]} [{', '.join(ids)}]{text[cut:] or '.'}"


def _bare(sentence: str) -> str:
    return re.sub(r"[\W_]+", " ", re.sub(r"\s*\[E\d+(?:, E\d+)*\]", "", sentence)).strip().lower()
