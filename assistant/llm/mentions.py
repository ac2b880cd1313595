"""Finds what a question names: findings, samples, runs, regions, numbers, times, ordinals.

Turns folded text into `Mentions` and the same text with a placeholder word for each thing named ("why is xfinding
anomalous"). Knows how people write such names in English (and the nouns of a few more languages); not what exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

PLACEHOLDERS = (
    "xfinding", "xsample", "xrun", "xincident", "xevidence", "xregion", "xchannel", "xlevel", "xcount", "xordinal",
    "xbare", "xtime", "xmethod",
)  # fmt: skip
NOUNS_SAMPLE = (
    "part|parts|image|picture|photo|sample|item|piece|row|transaction|payment|record|file|unit|entry|component|order|"
    "product|board|specimen|workpiece|line|invoice|booking|tile|frame|teil|bild|zeile|pieza|imagen|fila|ligne"
)
NOUNS_FINDING = (
    "findings?|anomaly|anomalies|alarms?|alerts?|events?|defects?|faults?|cases?|outliers?|hits?|detections?|"
    "befunde?|anomalien?|fehler|anomalies?|defauts?|hallazgos?|anomalias?"
)
NOUNS_REGION = "region|area|spot|interval|box|patch|zone|place|segment|blob"
NOUNS_CHANNEL = (
    "channel|sensor|signal|variable|feature|column|field|attribute|probe|measurement|parameter|metric|gauge|kanal|"
    "spalte|merkmal|canal|capteur|colonne|columna"
)
METHODS = ("partial", "multi_start", "diffusion_time", "default")
NOUNS = tuple(
    noun
    for nouns in (NOUNS_SAMPLE, NOUNS_FINDING, NOUNS_REGION, NOUNS_CHANNEL)
    for noun in nouns.replace("?", "").split("|")
)
ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "thrid": 3, "third": 3, "3rd": 3, "fourth": 4, "4th": 4,
    "fifth": 5, "5th": 5,
    "sixth": 6, "6th": 6, "seventh": 7, "7th": 7, "eighth": 8, "8th": 8, "ninth": 9, "9th": 9, "tenth": 10, "10th": 10,
    "last": -1, "final": -1, "erste": 1, "ersten": 1, "zweite": 2, "zweiten": 2, "dritte": 3,
    "dritten": 3, "vierte": 4, "vierten": 4, "letzte": -1, "letzten": -1, "quatrieme": 4, "tercero": 3, "tercera": 3,
    "premier": 1, "premiere": 1,
    "deuxieme": 2, "derniere": -1, "primero": 1, "primera": 1, "segundo": 2, "segunda": 2, "ultimo": -1, "ultima": -1,
}  # fmt: skip
COUNTS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "dozen": 12, "twenty": 20, "fifty": 50, "hundred": 100, "half": 0.5,
}  # fmt: skip
RANKS = {
    "runner-up": 2, "runner up": 2, "second best": 2, "second-best": 2, "second worst": 2, "second-worst": 2,
    "next worst": 2, "next-worst": 2, "third worst": 3, "third-worst": 3, "fourth worst": 4, "number one": 1,
    "number two": 2, "number three": 3, "number four": 4, "number five": 5, "top one": 1, "top of the list": 1,
    "head of the list": 1, "head of the queue": 1, "top of the queue": 1, "bottom of the list": -1,
    "end of the list": -1, "last on the list": -1, "first on the list": 1, "next on the list": 2,
}  # fmt: skip
DAY = {"night": ("00:00", "05:59"), "small hours": ("00:00", "05:59"), "early hours": ("00:00", "05:59"),
       "morning": ("05:00", "11:59"), "afternoon": ("12:00", "17:59"), "evening": ("17:00", "23:59")}  # fmt: skip
HOURS = {**{word: int(number) for word, number in COUNTS.items() if 1 <= number <= 10}, "eleven": 11, "twelve": 12}
_HOUR = rf"{'|'.join(HOURS)}|1?\d|2[0-3]"
_ORDINAL = "|".join(sorted(ORDINALS, key=len, reverse=True))
_COUNT = "|".join(COUNTS)
_EXTENSIONS = "png|jpe?g|bmp|tiff?|webp|gif|npy|npz|csv|tsv|parquet|feather|mp4|avi|json"
_NUMBER = r"\d*\.\d+(?:e-?\d+)?|\d+e-\d+|\d+"
_MANY = r"\d+(?:\s*(?:,|and|&|und|et|y|\+|with|to)\s*(?:f\s?)?\d+)*"


@dataclass
class Mentions:
    """What was named, in order of appearance; filled while the text is read."""

    findings: list[str] = field(default_factory=list)  # "F12"
    samples: list[str] = field(default_factory=list)  # as typed: "part 17", "part_017.png"
    runs: list[str] = field(default_factory=list)  # "R1"
    incidents: list[str] = field(default_factory=list)  # "I1"
    evidence: list[str] = field(default_factory=list)  # "E7"
    regions: list[str] = field(default_factory=list)  # "region 2", "interval 1"
    region_places: list[int] = field(default_factory=list)  # "the second spot" -> 2, "the last one" -> -1
    channel_places: list[int] = field(default_factory=list)  # "the first channel" -> 1
    channels: list[str] = field(default_factory=list)  # as typed: "oil pressure" of "the oil pressure sensor"
    quoted: list[str] = field(default_factory=list)  # text in quotation marks
    places: list[int] = field(default_factory=list)  # ordinals of findings: "the second one" -> 2
    levels: list[float] = field(default_factory=list)  # numbers that may be p-values or alpha, as shares
    count: int | None = None  # "the five worst" -> 5
    times: list[str] = field(default_factory=list)  # "14:20"
    day: list[str] = field(default_factory=list)  # a part of the day: "afternoon"
    methods: list[str] = field(default_factory=list)  # "multi_start"
    bare: list[str] = field(default_factory=list)  # whole numbers with nothing beside them


_Taker = Callable[[re.Match[str], Mentions], str]


def find(text: str) -> tuple[Mentions, str]:
    """Read the mentions off a folded text (lower case, no accents); the rest comes back with placeholders."""
    seen = Mentions()
    for pattern, take in _RULES:
        text = pattern.sub(lambda match, take=take: take(match, seen), text)  # type: ignore[misc]
    return seen, text


def _findings(match: re.Match[str], seen: Mentions) -> str:
    numbers = [int(number) for number in re.findall(r"\d+", match["numbers"])]
    if re.search(r"-|\bto\b", match["numbers"]) and len(numbers) == 2 and 0 < numbers[1] - numbers[0] < 50:
        numbers = list(range(numbers[0], numbers[1] + 1))
    seen.findings += [f"F{number}" for number in numbers]
    return " " + " and ".join(["xfinding"] * len(numbers)) + " "


def _keep(
    kind: str, word: str, shape: Callable[[re.Match[str]], str | int]
) -> Callable[[re.Match[str], Mentions], str]:
    def take(match: re.Match[str], seen: Mentions) -> str:
        getattr(seen, kind).append(shape(match))
        return f" {word} "

    return take


def _quoted(match: re.Match[str], seen: Mentions) -> str:
    name = match["name"].strip()
    if re.fullmatch(r"[fri]\d+", name):
        return f" {name} "
    if re.search(rf"\.(?:{_EXTENSIONS})$|\d", name):
        seen.samples.append(name)
        return " xsample "
    seen.quoted.append(name)
    return f" {name} "


def _samples(match: re.Match[str], seen: Mentions) -> str:
    noun = match["noun"].removesuffix("s") if match["noun"].endswith("parts") else match["noun"]
    numbers = re.findall(r"[a-z]*_?\d+", match["numbers"])
    seen.samples += [f"{noun} {number}" for number in numbers]
    return " " + " and ".join(["xsample"] * len(numbers)) + " "


def _level(match: re.Match[str], seen: Mentions) -> str:
    value = float(match["value"]) if match["value"] not in COUNTS else float(COUNTS[match["value"]])
    seen.levels.append(round(value / 100, 10) if match["percent"] else value)
    return " xlevel "


def _method(text: str) -> str:
    plain = re.sub(r"[ _-]", "", text)
    return next(name for name in METHODS if name.replace("_", "") == plain)


def _one_in(match: re.Match[str], seen: Mentions) -> str:
    many = {"hundred": 100.0, "thousand": 1000.0, None: 1.0}[match["many"]]
    count = match["count"] or "1"
    seen.levels.append(1 / (many * float(COUNTS.get(count, 0) or count.replace(",", ""))))
    return " xlevel "


def _count(match: re.Match[str], seen: Mentions) -> str:
    word = match["count"]
    if word == "one":  # "the worst one" counts nothing
        return match[0]
    seen.count = int(COUNTS[word]) if word in COUNTS else int(word)
    return f" {match['before'] or ''} xcount {match['after'] or ''} "


def _ordinal_of(kind: str, word: str) -> Callable[[re.Match[str], Mentions], str]:
    def take(match: re.Match[str], seen: Mentions) -> str:
        getattr(seen, kind).append(ORDINALS[match["ordinal"]])
        return f" {word} "

    return take


_MINUTES = {"half past": 30, "quarter past": 15, "quarter to": -15, "fifteen": 15, "twenty": 20, "thirty": 30,
            "forty five": 45}  # fmt: skip


def _clock(match: re.Match[str], seen: Mentions) -> str:
    """ "half past nine", "quarter to ten", "9 o'clock", "at 9 pm" as a time of day."""
    hour = HOURS.get(match["hour"]) or int(match["hour"])
    minutes = _MINUTES.get((match["before"] or "").replace("-", " "), 0)
    total = 60 * hour + minutes
    half = "pm" if re.search(r"afternoon|evening", match["half"] or "") else (match["half"] or "").replace(" ", "")
    seen.times.append(f"{total // 60 % 24}:{total % 60:02d}{half if half in ('am', 'pm') else ''}")
    return " xtime "


def _bare(match: re.Match[str], seen: Mentions) -> str:
    seen.bare.append(match[0])
    return " xbare "


def _rank(match: re.Match[str], seen: Mentions) -> str:
    seen.places.append(RANKS[re.sub(r"\s+", " ", match["rank"])])
    return " xordinal "


def _one_of_a_day(match: re.Match[str], seen: Mentions) -> str:
    seen.day.append(match["day"])
    return f"the xtime {match['thing']}"


def clock_of(time: str) -> str:
    """ "9:30pm" as "21:30"."""
    hour, minute = re.findall(r"\d+", time)[:2]
    late = 12 if time.rstrip().endswith("pm") and int(hour) < 12 else 0
    return f"{int(hour) + late:02d}:{minute}"


_MACHINE = "press|line|machine|pump|station|shift|lane|belt|motor|robot|cell|camera|plant|hall|bay|oven|mill|lathe"
_NUMBERED = r"(?:no\.?|nr\.?|numbers?|#|id)?"
_THING = "one|finding|anomaly|defect|part|image|picture|row|event"
_WORST = "worst|strangest|oddest|weirdest|biggest|most \\w+|top|lowest|highest|first|newest|latest|last|next|gravest"
_HALVES = "morning|afternoon|evening"
_FEW = _COUNT.replace("|hundred", "")
_DAY_OF = rf"(?P<day>{'|'.join(DAY)})"
_RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str], Mentions], str]]] = [
    (re.compile(r"[\"“”«»`](?P<name>[^\"“”«»`]{1,80})[\"“”«»`]|(?<!\w)'(?P<name2>[^']{1,80})'(?!\w)"),
     lambda match, seen: _quoted(match, seen) if match["name"] else f" {match['name2']} "),
    (re.compile(rf"[\w\-./\\]*\w\.(?:{_EXTENSIONS})\b"), _keep("samples", "xsample", lambda match: match[0])),
    (re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?\b(?:\s?[ap]m\b)?"),
     _keep("times", "xtime", lambda match: match[0])),
    (re.compile(rf"\b(?P<noun>{_MACHINE}) (?:no\.? ?|number |#)?\d{{1,4}}\b(?![:.]\d)"),
     lambda match, seen: match["noun"]),
    (re.compile(rf"\b(?P<hour>{_HOUR}) (?P<before>fifteen|twenty|thirty|forty[ -]five)\b(?P<half>)"), _clock),
    (re.compile(rf"(?P<before>)\b(?P<hour>{_HOUR}) (?:o'?clock )?(?P<half>in the (?:{_HALVES})|at night)\b"), _clock),
    (re.compile(rf"\b(?:the |that ){_DAY_OF}(?:'s|s)? (?P<thing>one|event|thing|alarm|incident|episode|blip)\b"),
     _one_of_a_day),
    (re.compile(rf"\b(?:in|during) the {_DAY_OF}\b"), _keep("day", "xtime", lambda match: match["day"])),
    (re.compile(r"(?:#|\b(?:number|no\.?|entry|item|position|place|rank) ?)(?P<place>\d{1,3}) (?:on|of|in) "
                r"(?:the|that|your|this) (?:list|ranking|table)\b"),
     _keep("places", "xordinal", lambda match: int(match["place"]))),
    (re.compile(rf"\b(?:the )?(?P<rank>{'|'.join(RANKS)})\b"), _rank),
    (re.compile(rf"\b(?P<before>half past|quarter past|quarter to) (?P<hour>{_HOUR})\b(?P<half>)"), _clock),
    (re.compile(rf"(?P<before>)\b(?P<hour>{_HOUR}) ?(?:(?P<half>[ap]m)|o'?clock)\b"), _clock),
    (re.compile(rf"\b(?:(?:{NOUNS_FINDING})\s+)?f[\s\-#]?(?P<numbers>\d{{1,7}})\b(?!%|\.\d)"), _findings),
    (re.compile(rf"\b(?:{NOUNS_FINDING})\s*{_NUMBERED}\s*(?P<numbers>{_MANY}|\d+\s*-\s*\d+)\b(?!\s?%|\.\d)"),
     _findings),
    (re.compile(rf"\b(?:{'|'.join(name.replace('_', '[ _-]?') for name in METHODS)})\b"),
     _keep("methods", "xmethod", lambda match: _method(match[0]))),
    (re.compile(rf"(?:\bevidence\s*{_NUMBERED}\s*e?|\[?\be)(?P<number>\d{{1,6}})\b\]?"),
     _keep("evidence", "xevidence", lambda match: f"E{match['number']}")),
    (re.compile(r"\b(?:run\s*(?:no\.?|number|#)?\s*r?|r)(?P<number>\d{1,6})\b"),
     _keep("runs", "run xrun", lambda match: f"R{match['number']}")),
    (re.compile(r"\b(?:incident\s*(?:no\.?|number|#)?\s*i?|i)(?P<number>\d{1,6})\b"),
     _keep("incidents", "incident xincident", lambda match: f"I{match['number']}")),
    (re.compile(rf"\b(?P<kind>{NOUNS_REGION})\s*(?:no\.?|number|#)?\s*(?P<number>\d{{1,3}})\b"),
     _keep("regions", "xregion", lambda match: f"{match['kind']} {match['number']}")),
    (re.compile(rf"\b(?P<ordinal>{_ORDINAL})\s+(?:{NOUNS_REGION}|scratch|stain|mark|defect|dent|hole)s?\b"),
     _ordinal_of("region_places", "xregion")),
    (re.compile(rf"\b(?P<ordinal>{_ORDINAL})\s+(?:{NOUNS_CHANNEL})s?\b"),
     _ordinal_of("channel_places", "channel xchannel")),
    (re.compile(rf"\b(?P<kind>{NOUNS_CHANNEL})\s+(?:no\.?|number|#)?\s*(?P<number>[a-z]*_?\d+\w*)\b"),
     _keep("channels", "channel xchannel", lambda match: match["number"])),
    (re.compile(rf"\b(?P<noun>{NOUNS_SAMPLE})\s*{_NUMBERED}\s*"
                r"(?P<numbers>[a-z]{0,4}_?\d+(?:\s*(?:,|and|&)\s*\d+)*)\b(?!\s?%)"),
     _samples),
    (re.compile(r"\b(?:1|one)(?: [a-z]+){0,3} in (?:a |every )?(?=\S)"
                rf"(?:(?P<count>\d[\d,]*|{_FEW})\b ?)?(?P<many>hundred|thousand)?(?<=\w)"), _one_in),
    (re.compile(r"\b[a-z]+[_\-][a-z_\-]*\d+[\w\-]*|\b[a-z]{3,}\d{2,}\b"),
     _keep("samples", "xsample", lambda match: match[0])),
    (re.compile(rf"\b(?P<value>{_COUNT})\s+(?:a\s+)?(?P<percent>percent|per cent)\b"), _level),
    (re.compile(rf"(?<![\w.])(?P<value>{_NUMBER})\s*(?P<percent>%|percent|per cent|pct|prozent|pour cent|por ciento)"),
     _level),
    (re.compile(r"(?<![\w.])(?P<value>\d*\.\d+(?:e-?\d+)?|\d+e-\d+)(?P<percent>)(?!\w)"), _level),
    (re.compile(rf"\b(?P<before>{_WORST})\s+(?P<count>\d{{1,4}}|{_COUNT})\b(?P<after>)(?! (?:of|one))"), _count),
    (re.compile(rf"(?P<before>)\b(?P<count>\d{{1,4}}|{_COUNT})\s+(?P<after>{_WORST}|more|others?|best)\b"), _count),
    (re.compile(rf"(?P<before>)\b(?P<count>\d{{1,4}}|{_COUNT})\s+(?P<after>(?:rejects|failures|flags|bad ones|"
                r"bad parts|rejections|scraps|findings|alarms|events|anomalies))\b"), _count),
    (re.compile(r"\b(?:limit|only|show|list|give me)\s+(?P<before>)(?P<count>\d{1,4})\b(?P<after>)"), _count),
    (re.compile(r"(?:\bnumber|\bno\.|\bnr\.?|#)\s*(?P<numbers>\d{1,7})\b"), _findings),
    (re.compile(r"(?:^(?:and |or |ok |ok and |then )?|\b(?:the|la|le|el|die|der|das|den|dem|beim|vom|zum|du|"
                r"au|del|al|my|your)\s+)"
                rf"(?P<ordinal>{_ORDINAL})\b"
                rf"(?=\s*(?:{_THING}|in the list|of (?:them|these|those)|please|(?:with|and|to|against|versus) the"
                r"|[?.!,]|$))(?:\s+(?:{_THING})\b)?"),
     _ordinal_of("places", "xordinal")),
    (re.compile(r"\bof (?:the |all |those )?(?P<number>\d{1,7})\b(?!\.\d|%)|(?P<unit>\d{1,7})(?= (?:units?|gr[ea]y|"
    r"levels?|times|degrees|px|"
                r"pixels|points|minutes|min|hours|seconds|stamps|bar|amps?|rpm|euros?|mm|litres?)\b)"),
     lambda match, seen: "of xcount" if match["number"] else " xcount "),
    (re.compile(r"(?<![\w.])\d{1,7}(?![\w%]|\.\d)"), _bare),
]  # fmt: skip
