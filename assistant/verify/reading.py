"""Reads what a sentence says that can be checked: numbers with their units, times, places, ids and names.

Knows English and number formats; not evidence or language models. Everything found is a span of the sentence, so that
the verifier can see what stands beside what.
"""

# ruff: noqa: SIM905 - lists of words read better as text
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from assistant.verify.durations import durations
from assistant.verify.facts import CANONICAL, canonical

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_TENS = dict(zip("thirty forty fifty sixty seventy eighty ninety".split(), (30, 40, 50, 60, 70, 80, 90), strict=True))
WORDS = {word: value for value, word in enumerate(_SMALL)} | _TENS | {"dozen": 12, "hundred": 100}
_POWERS = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
ORDINALS = {
    word: value
    for value, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split(), start=1)
}
_TIMES = {"once": 1, "twice": 2, "thrice": 3, "double": 2, "doubled": 2, "doubles": 2, "triple": 3, "tripled": 3,
          "triples": 3, "halved": 0.5, "halves": 0.5, "tenfold": 10, "twofold": 2, "threefold": 3}  # fmt: skip
_FRACTIONS = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "fifth": 1 / 5, "sixth": 1 / 6, "seventh": 1 / 7,
              "eighth": 1 / 8, "ninth": 1 / 9, "tenth": 1 / 10, "hundredth": 0.01, "thousandth": 0.001}  # fmt: skip
_FRACTION = re.compile(
    r"\b(?:(?P<many>one|two|three|four|a)[\s-])?(?P<part>half|third|quarter|fifth|sixth|seventh|eighth|ninth"
    r"|tenth|hundredth|thousandth)s?\b(?=\s+(?:of|as|the"
    r"|below|above|less|lower|more)\b|(?:(?<=thirds)|(?<=arters)|(?<=fifths)|(?<=tenths))\b)",
    re.I,
)
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
COUNTED = {  # what people call the things that are counted -> fields that count them
    "findings": "finding findings anomaly anomalies alarm alarms event events hit hits defect defects detection "
                "detections reject rejects flagged",
    "samples": "sample samples image images picture pictures row rows record records transaction transactions stamp "
               "stamps reading readings point points payment payments part parts",
    "regions": "region regions place places spot spots area areas interval intervals",
    "channels": "channel channels sensor sensors signal signals part parts",
    "features": "feature features column columns field fields part parts",
    "runs": "run runs", "incidents": "incident incidents", "members": "member members method methods",
    "values": "p-values values scores", "normals": "normals", "labels": "label labels",
    "neighbours": "neighbour neighbours neighbor neighbors", "groups": "group groups cluster clusters",
}  # fmt: skip
COUNT_NOUNS = {word: [key for key, words in COUNTED.items() if word in words.split()]
               for words in COUNTED.values() for word in words.split()}  # fmt: skip
_MONTHS = "January February March April May June July August September October November December".split()

_DIGITS = re.compile(
    r"(?<![\w.])(?<![A-Za-z_]-)(?P<sign>[-−+](?=[\d.]))?"
    r"(?P<body>\d{1,3}(?:[,\u202f\u00a0']\d{3})+(?:\.\d+)?(?!\d)|0,\d+|\d+,\d{1,2}(?![\d,])|\d+(?:\.\d+)?|\.\d+)"
    r"(?:[eE](?P<exp>[-−+]?\d+)|\s?[×x·*]\s?10(?:\^\{?(?P<caret>[-−+]?\d+)\}?|(?P<super>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)))?"
)
_POWER_OF_TEN = re.compile(r"(?<![\w.])10(?:\^\{?(?P<caret>[-−+]?\d+)\}?|(?P<super>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))")
_ANY = "|".join([*WORDS, *_POWERS])
_WORD_NUMBER = re.compile(
    rf"\b(?:(?:{_ANY})\b(?:[\s-](?:(?:(?<=hundred\s)|(?<=thousand\s))and\s)?(?:{_ANY})\b)*)", re.I
)
_HEDGE = re.compile(
    r"(?:about|around|roughly|approximately|some|(?P<under>nearly|almost|just (?:under|below))|close to"
    r"|(?P<over>just (?:over|above))|≈|~|circa)\s*(?:an?\s)?$",
    re.I,
)
_BOUND = re.compile(
    r"(?:(?P<lt>(?<!not )(?:less than|below|under|smaller than|lower than|fewer than|at most|no more than|<|≤"
    r"|(?<!add )(?<!adds )(?<!sum )(?<!goes )(?<!go )(?<!rises )up to|not (?:above|over|more than)|within))"
    r"|(?P<gt>more than|above|over|greater than|larger than|higher than|at least"
    r"|exceed(?:s|ing)?|beyond|>|≥|not (?:below|under|less than)))\s*(?:the\s|an?\s)?$",
    re.I,
)


@dataclass(frozen=True)
class Number:
    """One number of a sentence. It is right when the truth lies within half a `step` of `value`."""

    start: int
    end: int  # of number and unit
    text: str  # as written, with its unit
    value: float
    step: float  # one unit in its last written place
    unit: str = ""  # canonical
    kind: str = "plain"  # "plain", "word", "ordinal", "times" (twice, 3 times), "fraction" (a third)
    bound: str = ""  # "<", ">": "below 0.001"
    rough: bool = False  # "about 30"
    side: str = ""  # "<", ">": "nearly 30", "just over 30"

    def agrees(self, truth: float) -> bool:
        """Whether `truth` rounds to what is written."""
        slack = self.step / 2
        if self.rough:
            slack = max(slack, 0.1 * abs(self.value))
        if self.side and (truth - self.value) * (1 if self.side == "<" else -1) > self.step / 2:
            return False
        return abs(truth - self.value) <= slack * (1 + 1e-9) + 1e-12 * abs(truth)


@dataclass(frozen=True)
class Moment:
    """A date, a time of day, or both; what is not said is None."""

    start: int
    end: int
    text: str
    parts: dict[str, int]  # year, month, day, hour, minute, second, as far as given


@dataclass(frozen=True)
class Place:
    """A place inside a picture, as vertical and horizontal words: {"upper", "left"}."""

    start: int
    end: int
    text: str
    words: frozenset[str]


def numbers(text: str, units: Iterable[str] = ()) -> list[Number]:
    """All numbers of a sentence, in order; `units` are further units that may stand behind them."""
    found = _written(text) + _spelled(text)
    found += [Number(d.start, d.end, text[d.start : d.end], d.value, d.step, d.unit) for d in durations(text)]
    found.sort(key=lambda number: (number.start, -number.end))
    apart: list[Number] = []
    for number in found:
        if not apart or number.start >= apart[-1].end:
            apart.append(number)
    pattern = _unit_pattern(frozenset(units))
    return _share_units([_dress(text, number, pattern) for number in apart], text)


def moments(text: str) -> list[Moment]:
    """All dates and times of day of a sentence."""
    found = []
    for match in _TIME.finditer(text):
        parts = {name: int(value) for name, value in match.groupdict().items() if value and value.isdigit()}
        month = match["month_name"] or match["month_name2"]
        if month:
            parts["month"] = 1 + [name[:3].lower() for name in _MONTHS].index(month[:3].lower())
        for name in ("year", "month", "day", "hour", "minute", "second"):
            for other in (f"{name}2", f"{name}3"):
                if other in parts:
                    parts[name] = parts.pop(other)
        half = match["half"] or match["half2"]
        if half and "hour" in parts:
            parts["hour"] = parts["hour"] % 12 + (12 if half.lower().startswith("p") else 0)
        if parts:
            found.append(Moment(match.start(), match.end(), match[0], parts))
    for match in _SPOKEN_TIME.finditer(text):
        hour = WORDS[(match["hour"] or match["hour2"]).lower()] - (match["before"] == "to")
        spoken = {"half": 30, "quarter": 15, "five": 5, "ten": 10, "twenty": 20, "twenty-five": 25}
        minute = spoken.get((match["part"] or "").lower(), 0)
        minute = 60 - minute if match["before"] == "to" and minute != 30 else minute
        found.append(Moment(match.start(), match.end(), match[0], {"hour12": int(hour) % 12, "minute": minute}))
    for match in _NOON.finditer(text):
        way, noon = match["way"].lower(), match["what"].lower() != "midnight"
        hours = {"before": 11, "after": 12, "past": 12}.get(way.split()[-1])
        if hours is not None:
            found.append(Moment(match.start(), match.end(), match[0], {"hour": (hours if noon else hours + 12) % 24}))
    return found


_CLOCK = r"(?P<hour{n}>\d{{1,2}}):(?P<minute{n}>\d{{2}})(?::(?P<second{n}>\d{{2}})(?:\.\d+)?)?"
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS)
_TIME = re.compile(
    r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?:(?:T|,?\s)" + _CLOCK.format(n="") + r")?(?:Z|[+-]\d\d:\d\d)?"
    r"|\b(?P<day2>\d{1,2})(?:st|nd|rd|th)?\.?\s(?:of\s)?(?P<month_name>" + _MONTH + r")\b\.?(?:,?\s(?P<year2>\d{4}))?"
    r"|\b(?P<month_name2>" + _MONTH + r")\b\.?\s(?P<day3>\d{1,2})(?:st|nd|rd|th)?\b(?:,?\s(?P<year3>\d{4}))?"
    r"|(?<![\d:.,])\b(?P<hour3>1?\d)\s?(?P<half2>[ap]\.?m\b\.?)"
    r"|(?<![\d:])" + _CLOCK.format(n="2") + r"(?![\d:])(?:\s?(?P<half>[ap]\.?m\b\.?))?",
)

_HOURS = "|".join(_SMALL[1:13])
_NOON = re.compile(
    r"\b(?P<way>(?:shortly|just|soon|right|well|a little)? ?(?:before|after|past)|at|around"
    r"|about) (?P<what>noon|midday|midnight)\b",
    re.I,
)
_SPOKEN_TIME = re.compile(
    rf"\b(?:(?P<part>half|quarter|five|ten|twenty|twenty-five)\s(?:a\s|minutes\s)?(?P<before>past"
    rf"|to)\s(?P<hour>{_HOURS})\b"
    rf"|(?P<hour2>{_HOURS})\so['’]clock\b)",
    re.I,
)

_VERTICAL = {"upper": "upper", "top": "upper", "lower": "lower", "bottom": "lower", "middle": "centre"}
_PLACE_WORD = {
    **_VERTICAL,
    "left": "left",
    "right": "right",
    "centre": "centre",
    "center": "centre",
    "central": "centre",
}
_ACROSS = r"left|right|cent(?:re|er)|middle"
_SPOT = r"(?:[-\s](?:corner|side|edge|part|area|quarter|third|half|hand side)s?\b)?"
_PLACE = re.compile(
    rf"\b(?:(?P<pair>(?:upper|top|lower|bottom|{_ACROSS})[-\s](?:{_ACROSS})(?!\s+(?:edge\s+)?(?:at|is|=|of \d))){_SPOT}"
    rf"|(?:in|at|on|near|to|towards?|around)\s(?:the|its)\s(?P<one>upper|lower|top|bottom|{_ACROSS})\b"
    rf"(?![-\s](?:{_ACROSS})\b)(?!\s+(?:of the (?:list|ranking|order)|\d)){_SPOT}"
    r"|(?<!from the )(?<!below the )(?P<side>left|right|upper|lower|top|bottom)[-\s](?:hand\s)?"
    r"(?:side|corner|half|third|edge(?!\s+(?:at|is|=)))\b"
    r"|(?<=the )(?P<mid>cent(?:re|er)|middle)\b(?! line)(?! of the (?:list|ranking|run|order))"
    r"|(?<=is |in )(?P<bare>cent(?:re|er|ral(?:ly)?)(?:ed)?)\b)",
    re.I,
)


def places(text: str) -> list[Place]:
    """All places inside a picture that a sentence names."""
    found = []
    for match in _PLACE.finditer(text):
        if match[0].lower().endswith("corner") and re.match(
            r"\s(?:\w+\s){0,2}\(?\d|\s(?:at|is at|lies at)\b", text[match.end() :]
        ):
            continue  # the corner of a box, given in numbers
        core = match["pair"] or match["one"] or match["side"] or match["mid"] or "centre"
        words = frozenset(_PLACE_WORD[word] for word in re.split(r"[-\s]", core.lower()) if word in _PLACE_WORD)
        found.append(Place(match.start(), match.end(), match[0], words))
    return found


def place_words(position: str) -> frozenset[str]:
    """The words of a position fact: "upper left" -> {"upper", "left"}."""
    return frozenset(_PLACE_WORD[word] for word in re.split(r"[-\s]+", position.lower()) if word in _PLACE_WORD)


# --- numbers ------------------------------------------------------------------------------------------------------


def _written(text: str) -> list[Number]:
    """Numbers in digits."""
    found = []
    for match in _POWER_OF_TEN.finditer(text):
        value = 10.0 ** _exponent(match["caret"], match["super"])
        found.append(Number(match.start(), match.end(), match[0], value, value * 0.2))
    for match in _DIGITS.finditer(text):
        body = match["body"]
        if re.fullmatch(r"0,\d+|\d+,\d{1,2}", body):
            body = body.replace(",", ".")
        body = re.sub(r"[,\u202f\u00a0']", "", body)
        places_ = len(body.partition(".")[2])
        power = _exponent(match["exp"] or match["caret"], match["super"])
        sign = -1.0 if match["sign"] in ("-", "−") else 1.0
        step = 10.0 ** (power - places_)
        found.append(Number(match.start(), match.end(), match[0], sign * float(body) * 10.0**power, step))
    return found


def _exponent(digits: str | None, raised: str | None) -> int:
    if digits:
        return int(digits.replace("−", "-"))
    return int(raised.translate(_SUPER)) if raised else 0


def _spelled(text: str) -> list[Number]:
    """Numbers in words; "one" only where it counts something."""
    found = [*_fractions(text)]
    for match in re.finditer(rf"\b(?P<many>{_ANY}) and a (?P<part>half|quarter)\b", text, re.I):
        value = WORDS.get(match["many"].lower(), 0) + _FRACTIONS[match["part"].lower()]
        found.append(Number(match.start(), match.end(), match[0], value, 0.2, kind="word"))
    for match in _WORD_NUMBER.finditer(text):
        if text[: match.start()].lower().endswith(("no ", "any ")) or re.match(
            r"\s\w+ (?:to the (?:next|other)|after (?:the other|another))\b", text[match.end() :]
        ):
            continue  # "no two of them"
        words = [word for word in re.split(r"[\s-]+", match[0].lower()) if word != "and"]
        if words == ["one"] and not _counts(text, match.start(), match.end()):
            continue
        if words in (["hundred"], ["thousand"], ["million"], ["dozen"]) and re.match(r"s\b", text[match.end() :]):
            continue
        found.append(Number(match.start(), match.end(), match[0], _word_value(words), 1.0, kind="word"))
    for match in re.finditer(rf"\b(?:{'|'.join(ORDINALS)}|(\d+)(?:st|nd|rd|th))\b", text, re.I):
        value = float(match[1] or ORDINALS[match[0].lower()])
        found.append(Number(match.start(), match.end(), match[0], value, 1.0, kind="ordinal"))
    for match in re.finditer(rf"\b(?:{'|'.join(_TIMES)})\b", text, re.I):
        value = _TIMES[match[0].lower()]
        if match[0].lower() != "once":
            found.append(Number(match.start(), match.end(), match[0], value, 0.2 * value, kind="times"))
    return found


def _fractions(text: str) -> list[Number]:
    found = []
    for match in _FRACTION.finditer(text):
        many, part = (match["many"] or "").lower(), match["part"].lower()
        if not many and part != "half":
            continue
        value = WORDS.get(many, 1) * _FRACTIONS[part]
        step = min(0.06, 0.4 * value)
        found.append(Number(match.start(), match.end(), match[0], value, step, kind="fraction"))
    for match in _BY_A_PART.finditer(text):  # "cut to a third", "fell by half"
        if match["many"] or match["part"].lower() == "half":
            value = WORDS.get((match["many"] or "").lower(), 1) * _FRACTIONS[match["part"].lower()]
            found.append(Number(*match.span("all"), match["all"], value, min(0.06, 0.4 * value), kind="fraction"))
    return found


_BY_A_PART = re.compile(
    r"\b(?:to|by)\s(?:(?:about|roughly|nearly|almost|just|only|more than|less than|over|under)\s)*"
    r"(?P<all>(?:(?P<many>a|one|two|three)[\s-])?(?P<part>half|third|quarter|fifth|tenth)s?)\b"
    r"(?!\s(?:past|to|an hour|of|as|the|below|above|less|lower|more))",
    re.I,
)


def _word_value(words: list[str]) -> float:
    total, current = 0.0, 0.0
    for word in words:
        if word in _POWERS:
            current = max(current, 1.0) * _POWERS[word]
            if _POWERS[word] > 100:
                total, current = total + current, 0.0
        else:
            current += WORDS[word]
    return total + current


def _counts(text: str, start: int, end: int) -> bool:
    """Whether "one" is a number here: before a counted thing, "in" or "of"; and not "this one", "the one"."""
    if re.search(
        r"\b(?:this|that|the|which|no|any|each|every|another|last|first|second|next|other)\s$", text[:start], re.I
    ):
        return False
    if re.match(rf"\s(?:in\s(?:a\s)?(?:\d|{_ANY}))", text[end:], re.I):
        return True
    if re.match(
        rf"\s(?:out )?of (?:the|these|those|its|all)\s(?:(?:\d+|{_ANY})\b|\w+ (?:at|in|with|shown)\b)", text[end:], re.I
    ):
        return True
    following = re.findall(r"^(?:\s[\w-]+){1,3}", text[end:])
    nouns = following[0].lower().split() if following else []
    for noun in nouns:
        if noun in ("of", "is", "was", "that", "which", "can", "has", "to", "in", "with", "and", "or"):
            return False
        if noun in COUNT_NOUNS or (noun in CANONICAL and len(noun) > 2):
            return True
    return False


@lru_cache(maxsize=64)
def _unit_pattern(units: frozenset[str]) -> re.Pattern[str]:
    known = sorted({*CANONICAL, *units} - {""}, key=len, reverse=True)
    spelled = "|".join(re.escape(unit) for unit in known)
    return re.compile(rf"(?P<points>\s?percentage points)|(?P<gap>[\s\u00a0\u202f-]?)(?P<unit>{spelled})(?![\w°/])")


def _dress(text: str, number: Number, units: re.Pattern[str]) -> Number:
    """Add unit, kind, bound and hedge from what stands around."""
    end, unit, kind, value, step = number.end, number.unit, number.kind, number.value, number.step
    rest = text[end:] if not unit else ""  # a length of time in words has its unit
    times = re.match(r"\s?(?:times(?!\s+(?:out|a\s))|-?fold\b|[x×](?!\s?\d)(?=\s|[.,)]|$))", rest)
    if kind in ("plain", "word") and times:
        kind, end = "times", end + times.end()
    elif kind in ("plain", "word") and (scale := re.match(r"(?:k|\s(?:thousand|million))\b", rest)):
        factor = 1e6 if "million" in scale[0] else 1e3
        value, step, end = value * factor, step * factor, end + scale.end()
    elif kind in ("plain", "word") and (match := units.match(rest)):
        unit, end = _unit_of(match), end + match.end()
    elif kind == "plain" and (odd := re.match(r"[A-Za-z]+\b", rest)):
        unit, end = odd[0], end + odd.end()  # an unknown unit, glued to the number
    before = text[: number.start]
    if before[-1:] in "€$" and before:
        unit = canonical(before[-1])
        before = before[:-1]
    hedge = _HEDGE.search(before)
    if hedge:
        before = before[: hedge.start()].rstrip() + " "
    bound = _BOUND.search(before)
    sign = "" if bound is None else "<" if bound["lt"] else ">"
    side = "" if hedge is None else "<" if hedge["under"] else ">" if hedge["over"] else ""
    return Number(number.start, end, text[number.start : end], value, step, unit, kind, sign, bool(hedge), side)


def _unit_of(match: re.Match[str]) -> str:
    return "%" if match["points"] else canonical(match["unit"])


_NUMBERED = re.compile(r"\b(?:frame|row|sample|index|record|image|no\.?|number)\s$", re.I)


def _share_units(found: list[Number], text: str) -> list[Number]:
    """ "34 x 20 px", "12 to 15 s", "61 and 20 %": the unit belongs to both."""
    out = list(found)
    for i in range(len(out) - 2, -1, -1):
        this, following = out[i], out[i + 1]
        between = text[this.end : following.start]
        if between.startswith(",") and _NUMBERED.search(text[: this.start]):
            continue  # "frame 31262, 22 frames later"
        if not this.unit and following.unit and re.fullmatch(r"\s*(?:x|×|by|to|and|or|-|–|—|,|/)\s*", between):
            out[i] = Number(**{**this.__dict__, "unit": following.unit})
    return out
