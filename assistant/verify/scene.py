"""Finds in one sentence who and what it speaks about, and what stands beside each number.

Knows the sentence and the names in its evidence; draws no conclusion about truth. A number's finding, part, field and
role are read off the words around it: "cpu reads 97.3 % instead of the expected 41.2 %".
"""

# ruff: noqa: SIM905 - lists of words read better as text
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from assistant.verify.described import described, numbered
from assistant.verify.facts import Pool, plain
from assistant.verify.lexicon import (
    CALLED,
    FILE,
    ID,
    NO_NAME,
    NUMBERED,
    NUMBERED_LIST,
    OF_SCORE,
    ORDINAL_PART,
    ORDINARY,
    QUOTED,
    ROLES,
    SNAKE,
    STATIC,
    VAGUE,
)
from assistant.verify.mentions import Mention
from assistant.verify.reading import COUNT_NOUNS, ORDINALS, Moment, Number, Place, moments, numbers, place_words, places

_SHORT = {"temp": "temperature",
          "freq": "frequency", "press": "pressure", "vib": "vibration", "volt": "voltage",
          "hum": "humidity", "curr": "current", "lvl": "level", "pos": "position", "spd": "speed",
          "acc": "acceleration", "qty": "quantity", "amt": "amount", "conc": "concentration"}  # fmt: skip
_AS_A_THING = (  # what follows a noun and no adjective: "the current rose", never "the current alpha"
    r"(?=[,.;:)]|\s(?:is|was|were|had|has|rose|fell|dropped|reads?|stood|ran|and|in|at|to|by|on|after|before|from"
    r"|came"
    r"|carries|took|takes|lay|lies|would|with|itself|also|contributes?|left|went|gave|\w+ed)\b)"
)
_UNIT_WORDS = frozenset(
    "ppm ppb mbar kwh lux pct a v w c k f s h l m g n j bar min mm cm kg km hz rpm percent pa kpa eur usd ms".split()
)


@dataclass
class Scene:
    """One sentence, taken apart."""

    text: str
    rest: str  # the sentence with everything found blanked out, same length
    bases: list[Mention]
    parts: list[Mention]
    fields: list[Mention]
    roles: list[Mention]
    numbers: list[Number]
    moments: list[Moment]
    places: list[Place]
    quoted: list[tuple[str, int, int]] = field(default_factory=list)  # names and quoted texts: to be found in evidence
    context: frozenset[str] = frozenset()  # the finding spoken of before, where this sentence names none

    def has(self, pattern: str) -> bool:
        """Whether the sentence has words that match."""
        return re.search(rf"\b(?:{pattern})\b", self.text, re.I) is not None


def look(
    text: str,
    pool: Pool,
    names: Mapping[str, set[str]],
    context: Iterable[str] = (),
    elsewhere: Mapping[str, str] | None = None,
) -> Scene:
    """Take one sentence apart.

    Args:
        text: the sentence.
        pool: the facts it cites.
        names: ids and sample names -> all ids that mean the same.
        context: whom the sentence before spoke of.
        elsewhere: parts (name -> kind) that only other evidence of the conversation holds.
    """
    sheet = _Sheet(text)
    times = [moment for moment in moments(text) if sheet.take(moment.start, moment.end)]
    bases, quoted = _bases_and_names(sheet, pool, names)
    parts = _parts(sheet, pool)
    quoted += _strangers(sheet, elsewhere or {})
    parts += [one for one in described(text, sheet.rest, pool, bases, parts) if sheet.take(one.start, one.end)]
    spots = [place for place in places(sheet.rest) if sheet.take(place.start, place.end)]
    found = [number for number in numbers(sheet.rest, pool.units) if sheet.take(number.start, number.end)]
    fields = _fields(sheet, pool)
    roles = [role for role in _roles(sheet) if not any(n.start <= role.start < n.end for n in found)]
    parts += _place_parts(spots, pool)
    parts.sort(key=lambda mention: mention.start)
    return Scene(text, sheet.rest, bases, parts, fields, roles, found, times, spots, quoted, frozenset(context))


# --- finding mentions ----------------------------------------------------------------------------------------------


class _Sheet:
    """The sentence, from which found spans are blanked out one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = text

    def take(self, start: int, end: int) -> bool:
        """Blank a span out; False where something in it was taken before."""
        if self.rest[start:end] != self.text[start:end]:
            return False
        self.rest = self.rest[:start] + " " * (end - start) + self.rest[end:]
        return True


def _bases_and_names(
    sheet: _Sheet, pool: Pool, names: Mapping[str, set[str]]
) -> tuple[list[Mention], list[tuple[str, int, int]]]:
    """Findings, runs and samples by id or name; and other names and quoted texts."""
    bases: list[Mention] = []
    quoted: list[tuple[str, int, int]] = []

    def base(start: int, end: int, name: str) -> None:
        if sheet.take(start, end):
            bases.append(Mention(start, end, frozenset(names.get(name, ()) or {name})))

    part_names = {plain(name) for name in pool.parts}
    for match in QUOTED.finditer(sheet.text):
        inner = next(group for group in match.groups() if group)
        if inner in names:
            base(match.start(), match.end(), inner)
        elif plain(inner) not in part_names and not ID.fullmatch(inner) and sheet.take(match.start(), match.end()):
            quoted.append((inner, match.start(), match.end()))
    known = [name for name in names if len(name) > 2 and not name.isdigit() and not ID.fullmatch(name)]
    for name in sorted((name for name in known if name in sheet.text), key=len, reverse=True):
        if name in sheet.rest:
            for match in re.finditer(rf"(?<![\w/]){re.escape(name)}(?!\w)", sheet.rest):
                base(match.start(), match.end(), name)
    for match in NUMBERED.finditer(sheet.rest):
        for name in _numbered(match["number"], names):
            base(match.start(), match.end(), name)
    for match in NUMBERED_LIST.finditer(sheet.rest):
        for digits in re.finditer(r"\d+", match["numbers"]):
            start = match.start("numbers") + digits.start()
            for name in _numbered(digits[0], names):
                base(start, start + len(digits[0]), name)
    for head in pool.heads:
        for match in re.finditer(rf"\b{re.escape(head)}\b", sheet.rest, re.I):
            base(match.start(), match.end(), head)
    for match in ID.finditer(sheet.rest):
        base(match.start(), match.end(), match["id"])
    longer = [
        span
        for name, kind in pool.parts.items()
        if " " in name or "_" in name
        for span in _occurrences(name, kind, sheet)
    ]
    longer += [span for value in _normals(pool) for span in _spans(value, sheet.rest)]
    for pattern in (FILE, SNAKE):
        for match in pattern.finditer(sheet.rest):
            name = match[0]
            if any(start <= match.start() and match.end() <= end for start, end in longer):
                continue  # "acc_x" of the channel "wrist acc_x range"
            if plain(name) not in part_names and _is_name(name) and sheet.take(match.start(), match.end()):
                quoted.append((name, match.start(), match.end()))
    bases.sort(key=lambda mention: mention.start)
    return bases, quoted


def _is_name(word: str) -> bool:
    """Whether an identifier-like word is a name from data, not a field or a usual word with a digit."""
    return not re.fullmatch(r"p_values?|x\d|[pxy]|(?:AUC|VUS|F)1?|utf-?8|returns_to_normal|p[-.]?\d.*|\d.*", word, re.I)


def _numbered(digits: str, names: Mapping[str, set[str]]) -> list[str]:
    """Sample names with this very number: "part 17" -> ["part_017.png"]."""
    wanted = int(digits)
    found = []
    for name in names:
        if not ID.fullmatch(name):
            runs = re.findall(r"\d+", re.sub(r"\.\w+$", "", name))
            if runs and int(runs[-1]) == wanted:
                found.append(name)
    return found


def _parts(sheet: _Sheet, pool: Pool) -> list[Mention]:
    """Regions, channels and features by name."""
    found: list[Mention] = []

    def part(start: int, end: int, name: str, kind: str) -> None:
        if sheet.take(start, end):
            found.append(Mention(start, end, frozenset([name]), kind))

    for match in ORDINAL_PART.finditer(sheet.rest):
        number = ORDINALS[match["word"].lower()]
        noun = "interval" if match["noun"].lower() == "interval" else "region"
        part(match.start(), match.end(), f"{noun} {number}", noun)
    for start, end, names, noun in numbered(sheet.rest):
        if sheet.take(start, end):
            found.append(Mention(start, end, names, noun))
    for match in re.finditer(r"\b(region|interval)\s#?(\d+)\b", sheet.rest, re.I):
        part(match.start(), match.end(), f"{match[1].lower()} {match[2]}", match[1].lower())
    for name, kind in sorted(pool.parts.items(), key=lambda item: -len(item[0])):
        if kind == "position":  # read as a place
            continue
        for start, end in _occurrences(name, kind, sheet):
            part(start, end, name, kind)
    for value, name in _normals(pool).items():
        for start, end in _spans(value, sheet.rest):
            part(start, end, name, "normal")
    for word, name in _telling_words(pool.parts).items():
        vague = rf"(?<=\bthe ){spelled(word)}{_AS_A_THING}"
        pattern = vague if word in VAGUE else rf"(?<![\w/]){spelled(word)}(?!\w)"
        for match in re.finditer(pattern, sheet.rest, re.I):
            part(match.start(), match.end(), name, pool.parts[name])
    return found


def _normals(pool: Pool) -> dict[str, str]:
    """The samples that stand beside a finding as its nearest normals, by name: "B-20230" -> "normal 1"."""
    told = {str(k.fact.value): k.part for k in pool.texts if k.fact.field == "sample" and k.part.startswith("normal ")}
    first = {name: name.split(" ")[0] for name in reversed(told) if " " in name}
    short = {word: told[name] for name, word in first.items() if re.search(r"\d", word)}  # "normal 17" is no "normal"
    return {**told, **short}


def _spans(value: str, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text)]


def _telling_words(parts: Mapping[str, str]) -> dict[str, str]:
    """Words that stand in the name of one channel or feature only: "pressure" for pressure_out."""
    names = [name for name, kind in parts.items() if kind in ("channel", "feature", "column", "sensor")]
    found: dict[str, list[str]] = {}
    for name in names:
        words = [w for w in re.split(r"[\s_]", name.lower()) if re.fullmatch(r"[a-z]{3,}\d*", w)]
        words = [w for w in words if w not in ("max", "min", "avg", "std", "sum", "num", "per", "and", "not", "one")]
        words += [_SHORT[word] for word in re.split(r"[\s_]", name.lower()) if word in _SHORT]
        for word in words if len(re.findall(r"[^\W_]+", name)) > 1 else ():
            found.setdefault(word, []).append(name)
    alone = {word: owners[0] for word, owners in found.items() if len(owners) == 1 and word not in ORDINARY}
    return {word: name for word, name in alone.items() if word not in {other.lower() for other in names}}


def _strangers(sheet: _Sheet, elsewhere: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """Names of parts that the cited facts do not have: known from other results, or said to be a channel or feature."""
    parts = {name: kind for name, kind in elsewhere.items() if kind not in ("position", "method")}
    parts = {name: kind for name, kind in parts.items() if name not in ("box", "rows")}
    found = [(name, *span) for name, kind in parts.items() for span in _occurrences(name, kind, sheet)]
    for match in CALLED.finditer(sheet.rest):
        if match["name"].lower() not in NO_NAME and not match["name"].lower().endswith(("ing", "ed")):
            found.append((match["name"], *match.span("name")))
    return [(name, start, end) for name, start, end in found if sheet.take(start, end)]


def _occurrences(name: str, kind: str, sheet: _Sheet) -> list[tuple[int, int]]:
    """Where a part is named; a name that is an ordinary word counts only in quotes or beside the word for its kind."""
    called = spelled(name) if kind in ("channel", "feature", "column", "sensor", "") else re.escape(name)
    quoted = rf"[\"“`']{called}[\"”`']"
    if name.lower() in ORDINARY or len(name) < 3:
        word = kind or "channel|feature|column"
        pattern = rf"{quoted}|\b(?:{word}|column)\s{called}(?!\w)|(?<!\w){called}(?=\s(?:{word}|column)\b)"
        flags = 0
    else:
        several = r"(?:e?s)?" if kind == "kind" else ""
        pattern, flags = rf"{quoted}|(?<![\w/])(?<!\d\s){called}{several}(?!\w)", re.I
    return [match.span() for match in re.finditer(pattern, sheet.rest, flags)]


@lru_cache(maxsize=512)
def spelled(name: str) -> str:
    """How people write a name: "zone2_temp" also as "zone 2 temperature", "motor_current_a" also as "motor current"."""
    words = re.split(r"[\s_]", name)
    while len(words) > 1 and words[-1].lower() in _UNIT_WORDS:
        words = words[:-1]
    rest = re.split(r"[\s_]", name)[len(words) :]
    spoken = r"[\s_]".join(
        re.sub(r"(?<=[A-Za-z])(?=\d)", r"\\s?", re.escape(word)) + ("(?:erature)?" if word.lower() == "temp" else "")
        for word in words
    )
    return spoken + (r"(?:[\s_]" + r"[\s_]".join(re.escape(word) for word in rest) + ")?" if rest else "")


def _place_parts(spots: list[Place], pool: Pool) -> list[Mention]:
    """Regions that are named by their place alone: "the upper left" -> region 1."""
    found = []
    for spot in spots:
        regions = {
            known.part
            for known in pool.texts
            if known.part and known.fact.field == "position" and spot.words == place_words(str(known.fact.value))
        }
        regions |= {name for name, kind in pool.parts.items() if kind == "position" and spot.words == place_words(name)}
        if regions:
            found.append(Mention(spot.start, spot.end, frozenset(regions), "place"))
    return found


def _fields(sheet: _Sheet, pool: Pool) -> list[Mention]:
    """Field names in words, the longest first."""
    found: list[Mention] = []
    for match in OF_SCORE.finditer(sheet.text):
        if sheet.take(match.start(), match.end()):
            found.append(Mention(match.start(), match.end(), frozenset(["share"]), "", (frozenset(["share"]),)))
    own = [(pattern, (frozenset(name.split("_")),), "count" * (name in COUNT_NOUNS), "_" in name)
           for name, pattern in _own_fields(tuple(pool.fields))]  # fmt: skip
    several = [row[:3] for row in own if row[3]]
    single = [row[:3] for row in own if not row[3]]
    for pattern, options, kind in (*several, *STATIC, *single):
        for match in pattern.finditer(sheet.text):
            if sheet.take(match.start(), match.end()):
                found.append(Mention(match.start(), match.end(), frozenset([match[0]]), kind, options))
    found.sort(key=lambda mention: mention.start)
    return found


@lru_cache(maxsize=256)
def _own_fields(names: tuple[str, ...]) -> list[tuple[str, re.Pattern[str]]]:
    """Patterns for the evidence's own field names in words."""
    spelled = [(name, re.escape(name).replace("_", r"[\s_-]")) for name in names]
    return [(name, re.compile(rf"\b{words}s?\b", re.I)) for name, words in spelled]


def _roles(sheet: _Sheet) -> list[Mention]:
    found: list[Mention] = []
    for pattern, axis, role in ROLES:
        found += [Mention(m.start(), m.end(), frozenset([role]), axis) for m in pattern.finditer(sheet.text)]
    found.sort(key=lambda mention: mention.start)
    return found
