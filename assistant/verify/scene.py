"""Finds in one sentence who and what it speaks about, and what stands beside each number.

Knows the sentence and the names in its evidence; draws no conclusion about truth. A number's finding, part, field and
role are read off the words around it: "cpu reads 97.3 % instead of the expected 41.2 %".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from assistant.verify.facts import Pool, plain
from assistant.verify.reading import COUNT_NOUNS, Moment, Number, Place, moments, numbers, place_words, places

Options = tuple[frozenset[str], ...]  # a field mention fits a fact when one option lies within the fact's words


@dataclass(frozen=True)
class Mention:
    """A span that names something: findings ("base"), a part, a field, or a role."""

    start: int
    end: int
    names: frozenset[str]  # base: ids and names that mean it; part: names; role: {role}; field: {text}
    kind: str = ""  # part: region, channel...; role: its axis; field: "count" or ""
    options: Options = ()  # field only


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


_STATIC: tuple[tuple[re.Pattern[str], Options, str], ...] = tuple(
    (re.compile(pattern, re.I), tuple(frozenset(option.split()) for option in options.split("|")), kind)
    for pattern, options, kind in (
        (r"\bshares?\b", "share", ""),
        (r"\b(?:carr(?:y|ies)|accounts? for|contributes?)\b", "share", "verb"),
        (r"\bp[- _]?values?\b|\bp\b(?=\s*[=<>≈]|\s(?:of|is|was|below|above)\s|\s\d)", "p value", ""),
        (r"\b(?:anomaly )?scor(?:es?|ed|ing)\b", "score", ""),
        (r"\balpha\b|α|\bsignificance level\b|\bfalse[- ]alarm level\b", "alpha", ""),
        (r"\bwide\b|\bwidth\b", "width", ""),
        (r"(?<=px )high\b|(?<=pixels )high\b|\bheight\b|\btall\b", "height", ""),
        (r"\barea\b", "area", ""),
        (r"\bpeak(?:s|ing)?\b", "peak", ""),
        (r"\bsimilarit(?:y|ies)\b", "similarity", ""),
        (r"(?<!\d )(?<!px )\bx\b(?=\s*[=:]|\s(?:from\s|at\s|between\s)?\d)", "left|right|x", ""),
        (r"\by\b(?=\s*[=:]|\s(?:from\s|at\s|between\s)?\d)", "top|bottom|y", ""),
        (r"\bleft\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "left", ""),
        (r"\btop\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "top", ""),
        (r"\bright\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "right", ""),
        (r"\bbottom\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "bottom", ""),
        (r"\blength\b|(?<=[a-z] )long\b(?! as)|\blast(?:s|ed|ing)\b|\bduration\b",
         "length|duration", ""),
        (r"\bindex\b", "index", ""),
    )
)  # fmt: skip
_ROLES = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.I), axis, role)
    for pattern, axis, role in (
        (r"(?:to be )?expect(?:ed|s|ation)?|instead of|rather than|against|versus|vs\.?|compared (?:to|with)"
         r"|should (?:have been|be|read|lie)|(?:would|is|are|were|was) (?:be )?normal(?! (?:again|version))|normal(?:ly)?"
         r"(?= (?:would|is|value|level|reading|at|\d))|normally|usually|predict(?:ed|s)", "seen", "expected"),
        (r"observed|measured|reads?|reading|recorded|actual(?:ly)?|reach(?:ed|es)|stood at|found at|in fact|real",
         "seen", "observed"),
        (r"before|original(?:ly)?|initial(?:ly)?|unrepaired|so far|was flagged with", "time", "before"),
        (r"after(?:wards)?|repaired|counterfactual|normal version|would (?:still )?(?:be|have|drop|fall|rise|become|score)(?! normal)"
         r"|becomes?|(?:down|up|back)(?: above \w+)? to|(?:drops?|falls?|rises?|goes|lowers? it|sinks?|climbs?) to"
         r"|without (?=\W)", "time", "after"),
        (r"from|starts?|started|starting|began|begins?|since", "edge", "start"),
        (r"to|until|till|through|ends?|ended|ending", "edge", "end"),
        (r"lowest|smallest|minimum|minimal|min|least", "rank", "low"),
        (r"highest|largest|maximum|maximal|max|greatest|biggest", "rank", "high"),
        (r"mean|median|average|typical", "rank", "middle"),
    )
)  # fmt: skip
_OF_SCORE = re.compile(r"\bof (?:the|its|their|that|this) (?:total |whole |entire |anomaly )?score\b(?! of \d)", re.I)
_LEADS_ONLY = re.compile(
    r"instead|rather|against|versus|vs|compared|should|from|to\b|until|till|through|start|since|beg|reads?|reach|stood|becomes?"
    r"|would (?!be normal|normal)|down|up|back|drops?|falls?|rises?|goes|lowers?|sinks?|climbs?",
    re.I,
)
_CONNECT = set(
    "of is was are were at to a an the only just about around roughly nearly almost approximately equals equal comes "
    "stands lies has have had from below above under over than less more low high as by now still again went goes fell "
    "falls drop drops dropped rose rises rise value values both and or between respectively with for in on it its this "
    "that which would be been back up down well far even very so close reads s i e namely here there level".split()
)
_BREAK = re.compile(r";|\b(?:while|whereas|but|although|though)\b|\. ", re.I)
_ORDINARY = set(
    "time times value values score scores share shares count name normal anomaly alpha index state label note run source "
    "method left right top bottom width height area peak start end length position region interval channel feature sample "
    "finding part data the a an is was and or of in on at to for with by from as it its this that p x y".split()
)
_ID = re.compile(r"\b(?P<id>[RFIE]\d+)\b")
_FILE = re.compile(r"(?<![\w/])[\w][\w\-./]*\.(?:png|jpe?g|bmp|tiff?|gif|webp|csv|tsv|parquet|npy|npz|jsonl?|mp4|avi|txt)\b", re.I)
_CALLED = re.compile(
    r"\b(?:channel|feature|column|sensor)\s(?P<name>[A-Za-z][\w-]*)(?=\s(?:is|was|has|had|reads|carries|shows|deviates|rises|"
    r"falls|drops|accounts|contributes|stands|stays|reached|of F\d)\b|\s?[,.()]|$)"
)
_NO_NAME = _ORDINARY | _CONNECT | set(
    "alone too also here there itself together each only most first who where when because clearly then not one two three".split()
)
_QUOTED = re.compile(r"\"([^\"]{1,200})\"|“([^”]{1,200})”|`([^`]{1,200})`|(?<!\w)'([^']{1,200})'(?!\w)")
_SNAKE = re.compile(r"\b[A-Za-z]\w*_\w+\b|\b[A-Za-z]+[-.]?\d+(?:[-.]\d+)*\b")
_NUMBERED = re.compile(
    r"\b(?P<noun>part|sample|image|picture|row|record|transaction|payment|frame|no\.?|number)\s#?0*(?P<number>\d+)\b", re.I
)
_ORDINAL_PART = re.compile(r"\b(?P<word>first|second|third|fourth|fifth)\s(?P<noun>region|interval|place|spot)\b", re.I)


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
    spots = [place for place in places(sheet.rest) if sheet.take(place.start, place.end)]
    found = [number for number in numbers(sheet.rest, pool.units) if sheet.take(number.start, number.end)]
    fields = _fields(sheet, pool)
    roles = [role for role in _roles(sheet) if not any(n.start <= role.start < n.end for n in found)]
    parts += _place_parts(spots, pool)
    parts.sort(key=lambda mention: mention.start)
    return Scene(text, sheet.rest, bases, parts, fields, roles, found, times, spots, quoted, frozenset(context))


def nearest_before(mentions: list[Mention], position: int) -> Mention | None:
    """The last mention that ends before `position`."""
    before = [mention for mention in mentions if mention.end <= position]
    return before[-1] if before else None


def nearest_after(mentions: list[Mention], position: int) -> Mention | None:
    """The first mention that begins at or after `position`."""
    return next((mention for mention in mentions if mention.start >= position), None)


def group_of(scene: Scene, mentions: list[Mention], member: Mention) -> list[Mention]:
    """The mentions that are named together with `member`: "F12, F13 and F14"."""
    i = mentions.index(member)
    low = high = i
    while low > 0 and _joined(scene, mentions[low - 1], mentions[low]):
        low -= 1
    while high + 1 < len(mentions) and _joined(scene, mentions[high], mentions[high + 1]):
        high += 1
    return mentions[low : high + 1]


def field_of(scene: Scene, number: Number) -> Mention | None:
    """The field that a number is said to be: by the words right before or right after it."""
    following = nearest_after(scene.fields, number.end)
    if following and following.kind != "verb" and _touches(scene, number.end, following.start):
        return following
    index = scene.numbers.index(number)
    start = number
    while True:  # through lists: "p-values of 0.1, 0.2 and 0.3"
        mention = nearest_before(scene.fields, start.start)
        previous = scene.numbers[index - 1] if index > 0 else None
        if mention is not None and (previous is None or previous.end <= mention.start):
            return mention if _leads(scene, mention, start.start) else None
        if previous is None or previous.unit != start.unit or not listed(scene, previous, start):
            return None
        start, index = previous, index - 1


def role_of(scene: Scene, number: Number, axis: str) -> str:
    """The role a number is given on an axis by the words beside it ("" = none)."""
    mentions = [mention for mention in scene.roles if mention.kind == axis]
    following = nearest_after(trailing(scene, mentions), number.end)
    if axis in ("seen", "time") and following and _trails(scene, number.end, following.start):
        return next(iter(following.names))
    preceding = nearest_before(mentions, number.start)
    if preceding is None or any(preceding.end <= other.start < number.start for other in scene.numbers):
        return ""
    limit = 3 if axis in ("time", "rank") else 2
    if _gap(scene, preceding.end, number.start) <= limit and not _BREAK.search(scene.text[preceding.end : number.start]):
        pair = [mention for mention in mentions if mention.end <= number.start][-2:]
        if len(pair) == 2 and re.fullmatch(r"\W*(?:and|or|against|versus|vs\.?)?\W*", scene.text[pair[0].end : pair[1].start]):
            return ""  # "before and after: 8.2 and 1.1": the order tells, see binding
        return next(iter(preceding.names))
    return ""


def trailing(scene: Scene, mentions: list[Mention]) -> list[Mention]:
    """Role mentions that may stand behind what they speak of: "41.2 was expected", never "instead of"."""
    return [mention for mention in mentions if not _LEADS_ONLY.match(scene.text[mention.start : mention.end])]


def listed(scene: Scene, first: Number, second: Number) -> bool:
    """Whether two neighbouring numbers are items of one list: "8.2 for F12 and 4.1 for F13"."""
    between = scene.rest[first.end : second.start]
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", between)]
    return not [word for word in words if word not in _CONNECT and word not in ("against", "versus", "vs", "compared")]


def count_noun(scene: Scene, number: Number) -> list[str]:
    """The counted things right after a whole number: "3 suspicious regions" -> ["regions"]."""
    if number.unit or number.value != int(number.value) or number.kind not in ("plain", "word"):
        return []
    words = re.match(r"(?:[\s-]+[A-Za-z]+){1,3}", scene.text[number.end :])
    for word in re.findall(r"[A-Za-z]+", words[0]) if words else []:
        if word.lower() in COUNT_NOUNS:
            return COUNT_NOUNS[word.lower()]
        if word.lower() in {"of", "in", "for", "and", "or", "is", "was", "at", "to", "on", "with", "by", "from", "against"}:
            break
    return []


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
    for match in _QUOTED.finditer(sheet.text):
        inner = next(group for group in match.groups() if group)
        if inner in names:
            base(match.start(), match.end(), inner)
        elif plain(inner) not in part_names and not _ID.fullmatch(inner) and sheet.take(match.start(), match.end()):
            quoted.append((inner, match.start(), match.end()))
    known = [name for name in names if len(name) > 2 and not name.isdigit() and not _ID.fullmatch(name)]
    for name in sorted((name for name in known if name in sheet.text), key=len, reverse=True):
        if name in sheet.rest:
            for match in re.finditer(rf"(?<![\w/]){re.escape(name)}(?!\w)", sheet.rest):
                base(match.start(), match.end(), name)
    for match in _NUMBERED.finditer(sheet.rest):
        for name in _numbered(match["number"], names):
            base(match.start(), match.end(), name)
    for match in _ID.finditer(sheet.rest):
        base(match.start(), match.end(), match["id"])
    for pattern in (_FILE, _SNAKE):
        for match in pattern.finditer(sheet.rest):
            name = match[0]
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
        if not _ID.fullmatch(name):
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

    for match in _ORDINAL_PART.finditer(sheet.rest):
        number = "first second third fourth fifth".split().index(match["word"].lower()) + 1
        noun = "interval" if match["noun"].lower() == "interval" else "region"
        part(match.start(), match.end(), f"{noun} {number}", noun)
    for match in re.finditer(r"\b(region|interval)\s#?(\d+)\b", sheet.rest, re.I):
        part(match.start(), match.end(), f"{match[1].lower()} {match[2]}", match[1].lower())
    for name, kind in sorted(pool.parts.items(), key=lambda item: -len(item[0])):
        for start, end in _occurrences(name, kind, sheet):
            part(start, end, name, kind)
    return found


def _strangers(sheet: _Sheet, elsewhere: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """Names of parts that the cited facts do not have: known from other results, or said to be a channel or feature."""
    found = [(name, *span) for name, kind in elsewhere.items() for span in _occurrences(name, kind, sheet)]
    for match in _CALLED.finditer(sheet.rest):
        if match["name"].lower() not in _NO_NAME and not match["name"].lower().endswith(("ing", "ed")):
            found.append((match["name"], *match.span("name")))
    return [(name, start, end) for name, start, end in found if sheet.take(start, end)]


def _occurrences(name: str, kind: str, sheet: _Sheet) -> list[tuple[int, int]]:
    """Where a part is named; a name that is an ordinary word counts only in quotes or beside the word for its kind."""
    spelled = r"[\s_]".join(re.escape(word) for word in re.split(r"[\s_]", name))
    quoted = rf"[\"“`']{spelled}[\"”`']"
    if name.lower() in _ORDINARY or len(name) < 3:
        word = kind or "channel|feature|column"
        pattern = rf"{quoted}|\b(?:{word}|column)\s{spelled}(?!\w)|(?<!\w){spelled}(?=\s(?:{word}|column)\b)"
        flags = 0
    else:
        pattern, flags = rf"{quoted}|(?<![\w/])(?<!\d\s){spelled}(?!\w)", re.I
    return [match.span() for match in re.finditer(pattern, sheet.rest, flags)]


def _place_parts(spots: list[Place], pool: Pool) -> list[Mention]:
    """Regions that are named by their place alone: "the upper left" -> region 1."""
    found = []
    for spot in spots:
        regions = {
            known.part
            for known in pool.texts
            if known.part and known.fact.field == "position" and spot.words == place_words(str(known.fact.value))
        }
        if regions:
            found.append(Mention(spot.start, spot.end, frozenset(regions), "place"))
    return found


def _fields(sheet: _Sheet, pool: Pool) -> list[Mention]:
    """Field names in words, the longest first."""
    found: list[Mention] = []
    for match in _OF_SCORE.finditer(sheet.text):
        if sheet.take(match.start(), match.end()):
            found.append(Mention(match.start(), match.end(), frozenset(["share"]), "", (frozenset(["share"]),)))
    for name, pattern in _own_fields(tuple(pool.fields)):
        kind = "count" if name in COUNT_NOUNS else ""
        for match in pattern.finditer(sheet.text):
            if sheet.take(match.start(), match.end()):
                found.append(Mention(match.start(), match.end(), frozenset([match[0]]), kind, (frozenset(name.split("_")),)))
    for pattern, options, kind in _STATIC:
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
    for pattern, axis, role in _ROLES:
        found += [Mention(m.start(), m.end(), frozenset([role]), axis) for m in pattern.finditer(sheet.text)]
    found.sort(key=lambda mention: mention.start)
    return found


# --- distances -----------------------------------------------------------------------------------------------------


def _joined(scene: Scene, first: Mention, second: Mention) -> bool:
    between = scene.text[first.end : second.start]
    return re.fullmatch(r"\s*(?:,|,?\s*and|or|&|,?\s*as well as)\s*(?:the |channel |feature |finding )?", between) is not None


def _gap(scene: Scene, start: int, end: int) -> int:
    """How many words of substance stand between two places; found names and numbers do not count."""
    roles = " ".join(scene.text[m.start : m.end].lower() for m in scene.roles if start <= m.start < end).split()
    words = re.findall(r"[A-Za-z]+", scene.rest[start:end])
    return len([word for word in words if word.lower() not in _CONNECT and word.lower() not in roles])


def _leads(scene: Scene, mention: Mention, position: int) -> bool:
    """Whether a field mention speaks of the number that begins at `position`."""
    between = scene.text[mention.end : position]
    if mention.kind == "count":
        return re.fullmatch(r"\s*(?::|=|\(|is|are|was|were)?\s*", between) is not None
    if _BREAK.search(between) or between.count(",") > 2:
        return False
    return _gap(scene, mention.end, position) <= (0 if mention.kind == "verb" else 2)


def _touches(scene: Scene, end: int, start: int) -> bool:
    """Whether a field right after a number belongs to it: "61 % of the score", "a 0.0004 p-value"."""
    return re.fullmatch(r"[\s-]*(?:(?:of|in|the|its|total)\s)*", scene.text[end:start]) is not None


def _trails(scene: Scene, end: int, start: int) -> bool:
    """Whether a role right after a number belongs to it: "41.2 % was expected", "0.43 after the repair"."""
    between = scene.rest[end:start]
    words = re.findall(r"[A-Za-z]+", between)
    return not re.search(r"[,;:(]", between) and all(
        word.lower() in {"is", "was", "were", "are", "would", "be", "as", "being", "had", "been", "have"} for word in words
    ) and not any(end <= number.start < start for number in scene.numbers)
