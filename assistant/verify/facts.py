"""Turns cited evidence into facts that can be compared with a sentence.

Knows evidence, units, places in words and times; not sentences, tools or language models. Each fact gets the things it
is about (findings, runs, samples), the part it belongs to (a region, channel, feature), the words of its field, and its
role (observed or expected, before or after). What follows from facts alone is added: right and bottom edges, the
duration between two times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from assistant.evidence import Evidence, Fact, format_number
from assistant.verify.derived import derived, to_moment

UNITS = {
    "px": "pixel pixels px", "%": "% percent pct pp percentage-points", "ms": "ms millisecond milliseconds msec",
    "s": "s sec secs second seconds", "min": "min mins minute minutes", "h": "h hr hrs hour hours",
    "d": "d day days", "°C": "°C ℃ degC celsius", "°F": "°F fahrenheit", "K": "K kelvin",
    "V": "V volt volts", "mV": "mV", "A": "A amp amps ampere amperes", "mA": "mA", "W": "W watt watts", "kW": "kW",
    "Hz": "Hz hertz", "kHz": "kHz", "bar": "bar", "mbar": "mbar", "Pa": "Pa", "kPa": "kPa", "mm": "mm", "cm": "cm",
    "m": "m metre metres meter meters", "km": "km", "g": "g", "kg": "kg", "rpm": "rpm", "mm/s": "mm/s", "m/s": "m/s",
    "l/min": "l/min", "EUR": "EUR € euro euros", "USD": "USD $ dollar dollars", "GB": "GB", "MB": "MB", "kB": "kB KB",
    "°": "° degree degrees deg", "psi": "psi", "atm": "atm", "hPa": "hPa", "MPa": "MPa", "N": "N newton", "kN": "kN",
    "Nm": "Nm", "J": "J joule joules", "kJ": "kJ", "kWh": "kWh", "Wh": "Wh", "dB": "dB", "ppm": "ppm", "ppb": "ppb",
    "l": "l L litre litres liter liters", "ml": "ml mL", "ft": "ft feet foot", "inch": "inch inches", "mph": "mph",
    "km/h": "km/h kmh", "lb": "lb lbs pounds", "oz": "oz",
    "µm": "µm um micron microns", "nm": "nm", "µs": "µs us", "ns": "ns", "week": "week weeks", "month": "month months",
    "year": "year years", "GBP": "GBP £", "CHF": "CHF", "JPY": "JPY ¥", "Ω": "Ω ohm ohms", "MHz": "MHz", "GHz": "GHz",
    "t": "tonnes",
}  # fmt: skip
CANONICAL = {word: unit for unit, words in UNITS.items() for word in words.split()}
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "week": 604800.0}

ROLES = {  # axis -> role -> words of fields that have it
    "seen": {"observed": {"observed", "actual", "measured"}, "expected": {"expected", "predicted", "normal"}},
    "time": {
        "before": {"before"},
        "after": {"after", "counterfactual", "repaired"},
    },
    "edge": {"start": {"start", "left", "top", "begin", "first"}, "end": {"end", "right", "bottom", "last"}},
    "rank": {
        "low": {"lowest", "min", "minimum", "smallest"},
        "high": {"highest", "max", "maximum", "largest"},
        "middle": {"mean", "median", "average", "typical"},
    },
}
_ROLE_WORDS = frozenset(word for roles in ROLES.values() for words in roles.values() for word in words)
_ID = re.compile(r"\b[RFI]\d+\b")
_SAMPLE = re.compile(r"(sample .+?)(?:/((?:region|interval|channel|feature|part)\b.*))?")
_KIND = re.compile(r"(region|interval|channel|feature|part|column|member|sensor|position|kind) (.+)")
NAMES_FINDING = {"sample", "name", "finding"}


@dataclass(frozen=True)
class Known:
    """One fact, ready for comparison."""

    fact: Fact
    evidence: str
    bases: frozenset[str]  # {"F12"}, {"F12", "F13"}, {"R1"}, {"sample part_003.png"}; {} = the call's own argument
    part: str = ""  # "region 1", "cpu"
    kind: str = ""  # "region", "channel", ...
    words: frozenset[str] = frozenset()  # of the field
    roles: Mapping[str, str] = field(default_factory=dict)  # axis -> role
    tail: frozenset[str] = frozenset()  # words without those of its roles: what before_score and after_score share
    number: float | None = None
    unit: str = ""  # canonical
    moment: datetime | None = None
    level: str = "call"  # "finding", "run" or "call" (an argument): what kind of thing the fact is about

    def __str__(self) -> str:
        value = self.fact.value
        shown = format_number(value) if isinstance(value, float) else value
        unit = f" {self.fact.unit}" if self.fact.unit else ""
        where = f"{self.fact.subject}.{self.fact.field}" if self.fact.subject else self.fact.field
        return f"{where} there is {shown}{unit}"


def canonical(unit: str) -> str:
    """One spelling per unit: "pixels" -> "px"; unknown units stay."""
    return CANONICAL.get(unit, CANONICAL.get(unit.lower(), unit))


def roles_of(words: Iterable[str]) -> dict[str, str]:
    """The roles that a field has by its words: {"before", "score"} -> {"time": "before"}."""
    present = set(words)
    return {axis: role for axis, roles in ROLES.items() for role, marks in roles.items() if present & marks}


@lru_cache(maxsize=4096)
def split_subject(subject: str) -> tuple[frozenset[str], str, str]:
    """(bases, part, kind of part): "F12/channel cpu" -> ({"F12"}, "cpu", "channel")."""
    if subject.startswith("sample "):
        found = _SAMPLE.fullmatch(subject)
        head, tail = (found[1], found[2] or "") if found else (subject, "")
        bases = frozenset([head])
    else:
        head, _, tail = subject.partition("/")
        bases = frozenset(_ID.findall(head)) or frozenset([head])
    kind = _KIND.fullmatch(tail)
    if kind is None:
        return bases, tail, ""
    return bases, tail if kind[1] in ("region", "interval") else kind[2], kind[1]


def know(fact: Fact, evidence: str) -> Known:
    """One fact made comparable."""
    bases, part, kind = split_subject(fact.subject) if fact.subject else (frozenset[str](), "", "")
    words, roles, tail = _field(fact.field)
    value = fact.value
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    moment = to_moment(value) if isinstance(value, str) else None
    unit = canonical(fact.unit) if fact.unit else ""
    return Known(fact, evidence, bases, part, kind, words, roles, tail, number, unit, moment, _level(bases))


@lru_cache(maxsize=1024)
def _field(name: str) -> tuple[frozenset[str], dict[str, str], frozenset[str]]:
    """(words, roles, words that are no roles) of a field."""
    words = frozenset(name.split("_"))
    return words, roles_of(words), words - _ROLE_WORDS


def _level(bases: frozenset[str]) -> str:
    if not bases:
        return "call"
    return "finding" if any(base[0] == "F" or base.startswith("sample ") for base in bases) else "run"


class Read:
    """One result, made ready once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.known = _facts_of(evidence)
        self.parts = _part_names(evidence)
        self.haystack = plain("\n".join(_strings(evidence)))
        self.words = set(re.findall(r"\w+", self.haystack))


class Pool:
    """The facts of some results, for one or more sentences that cite them."""

    def __init__(self, read: Iterable[Read]) -> None:
        self.read = list(read)
        self.evidence = [one.evidence for one in self.read]
        self.cited = ", ".join(one.id for one in self.evidence)
        self.known = [known for one in self.read for known in one.known]
        self.parts: dict[str, str] = {}  # name -> kind
        for one in self.read:
            self.parts.update(one.parts)
        self.notes = " ".join(one.note for one in self.evidence)

    @cached_property
    def numbers(self) -> list[Known]:
        """The facts that are numbers."""
        return [known for known in self.known if known.number is not None]

    @cached_property
    def texts(self) -> list[Known]:
        """The facts that are words."""
        return [known for known in self.known if isinstance(known.fact.value, str) and known.fact.value]

    @cached_property
    def fields(self) -> list[str]:
        """The names of fields that are numbers and more than a role, the longest first."""
        names = {known.fact.field for known in self.numbers if known.tail and len(known.fact.field) > 4}
        names -= {"shown", "matching"}
        tails = {"_".join(w for w in name.split("_") if w not in ("before", "after")) for name in names}
        names |= {tail for tail in tails if len(tail) > 4}
        return sorted(names, key=lambda name: (-len(name), name))

    @cached_property
    def heads(self) -> list[str]:
        """Things that are no finding, run or sample: "rule 3", "all alarms", "A12"."""
        heads = {base for known in self.known for base in known.bases}
        return sorted((h for h in heads if not re.fullmatch(r"[RFI]\d+|sample .*|store|.*\d{4}-\d\d-\d\d", h)), key=len)

    @cached_property
    def units(self) -> frozenset[str]:
        """The units of the facts."""
        return frozenset(known.unit for known in self.numbers if known.unit)

    def says(self, name: str) -> bool:
        """Whether a name, id or quoted text stands anywhere in the evidence."""
        wanted = plain(name)
        if wanted.isalnum():
            return any(wanted in one.words for one in self.read)
        pattern = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
        return any(wanted in one.haystack and pattern.search(one.haystack) for one in self.read)

    def bases(self, level: str = "finding") -> set[str]:
        """Everything of a level that facts are about."""
        return {base for known in self.known if known.level == level for base in known.bases}


def aliases(evidence: Iterable[Evidence]) -> dict[str, set[str]]:
    """Which names mean the same finding: "part_017.png" -> {"F3", "sample part_017.png"}, and the ids to each other."""
    found: dict[str, set[str]] = {}
    for one in evidence:
        for fact in one.facts:
            if fact.field == "sample" and _ID.fullmatch(fact.subject) and isinstance(fact.value, str):
                _join(found, fact.value, fact.subject)
            elif fact.subject.startswith("sample ") and "/" not in fact.subject.removeprefix("sample "):
                name = fact.subject.removeprefix("sample ")
                for called in (name, *_spoken(name)):
                    found.setdefault(called, set()).add(fact.subject)
                if fact.field == "finding" and isinstance(fact.value, str):
                    _join(found, name, fact.value)
    return found


def plain(text: str) -> str:
    """For comparing names: lower case, underscores as spaces, one space between words."""
    return re.sub(r"[\s_]+", " ", text.lower()).strip()


_SPOKEN = re.compile(r".*?([A-Za-z]{2,})[\W_]*0*(\d+)(?:\.\w+)?")


def _spoken(name: str) -> list[str]:
    """How people call a sample: "board-0412.jpg" -> "board 412", "Board 412"."""
    match = _SPOKEN.fullmatch(name)
    return [f"{word} {match[2]}" for word in (match[1].lower(), match[1].capitalize())] if match else []


def _join(found: dict[str, set[str]], name: str, finding: str) -> None:
    for called in (name, *_spoken(name)):
        found.setdefault(called, set()).update({finding, f"sample {name}"})
    found.setdefault(finding, set()).update({finding, f"sample {name}"})


def _part_names(one: Evidence) -> dict[str, str]:
    """Every region, channel and feature that facts name -> its kind."""
    parts: dict[str, str] = {}
    for fact in one.facts:
        if "/" in fact.subject:
            _, part, kind = split_subject(fact.subject)
            if part:
                parts.setdefault(part, kind)
        if fact.field in ("channels", "features", "main_part") and isinstance(fact.value, str):
            for name in filter(None, fact.value.split(", ")):
                parts.setdefault(name, fact.field.removesuffix("s") if fact.field != "main_part" else "")
    if one.tool == "what_if_method":
        parts.update({str(fact.value): "method" for fact in one.facts if fact.field == "method"})
    return parts


def _facts_of(one: Evidence) -> list[Known]:
    known = [know(fact, one.id) for fact in one.facts]
    method = next(
        (str(fact.value) for fact in one.facts if fact.field == "method" and one.tool == "what_if_method"), ""
    )
    if method:  # what a member says alone is the member's
        known = [replace(k, part=method, kind="method") if k.words & {"after"} else k for k in known]
    known += [know(Fact("", name, value), one.id) for name, value in one.arguments.items() if _is_plain(value)]
    return known + [know(fact, one.id) for fact in derived(one.facts)]


def _strings(one: Evidence) -> list[str]:
    """Every text in a result: names, values, arguments, notes, also of the tool."""
    texts = [one.tool, one.note, *(str(value) for value in one.arguments.values())]
    for fact in one.facts:
        texts += [fact.subject, fact.field]
        if isinstance(fact.value, str):
            texts.append(fact.value)
    return list(dict.fromkeys(texts))


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)
