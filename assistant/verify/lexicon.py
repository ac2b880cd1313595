"""The words by which sentences name fields, roles, parts and names: data for `scene`.

Knows English; not sentences or facts. A field is named by its own words ("lowest p-value") or by one of these patterns;
a role says on which side a number stands: observed or expected, before or after, start or end, lowest or highest.
"""

# ruff: noqa: SIM905 - lists of words read better as text
from __future__ import annotations

import re

from assistant.verify.reading import WORDS

Options = tuple[frozenset[str], ...]  # a field mention fits a fact when one option lies within the fact's words

STATIC: tuple[tuple[re.Pattern[str], Options, str], ...] = tuple(
    (re.compile(pattern, re.I), tuple(frozenset(option.split()) for option in options.split("|")), kind)
    for pattern, options, kind in (
        (r"\bshares?\b", "share", ""),
        (r"\b(?:carr(?:y|ies)|accounts? for|contributes?)\b", "share", "verb"),
        (r"\bp[- _]?values?\b|\bp\b(?=\s*[=<>≈]|\s(?:of|is|was|below|above)\s|\s\d)", "p value", ""),
        (r"\b(?:anomaly )?scor(?:es?|ed|ing)\b", "score", ""),
        (r"\balpha\b|α|\bsignificance level\b|\bfalse[- ]alarm level\b", "alpha", ""),
        (r"\bwide\b|\bwidth\b", "width", ""),
        (r"(?<=px )high\b|(?<=pixels )high\b|(?<!at its )\bheight\b|\btall\b", "height", ""),
        (r"\barea\b(?! (?:there|around|at|in|near|beside)\b)", "area", ""),
        (r"(?<!at its )(?<!at the )\bpeak(?:s|ing)?\b", "peak", ""),
        (r"\b(?:un)?certain(?:ty)?\b|\bsure\b|\bconfiden(?:t|ce)\b", "kind confidence|confidence", ""),
        (r"\bsimilarit(?:y|ies)\b", "similarity", ""),
        (r"(?<!\d )(?<!px )\bx\b(?=\s*[=:]|\s(?:from\s|at\s|between\s)?\d)", "left|right|x", ""),
        (r"\by\b(?=\s*[=:]|\s(?:from\s|at\s|between\s)?\d)", "top|bottom|y", ""),
        (r"(?<=from the )left\b|\bleft\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "left", ""),
        (r"(?<=from the )top\b|(?<=below the )top\b|\btop\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "top", ""),
        (r"\bright\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "right", ""),
        (r"\bbottom\b(?= edge|\s*[=:]|\s(?:at|is|of)\s\d)", "bottom", ""),
        (r"\blength\b|(?<=[a-z] )long\b(?! as)|\blast(?:s|ed|ing)\b|\bduration\b",
         "length|duration", ""),
        (r"\bind(?:ex|ices)\b", "index|start|end", ""),
    )
)  # fmt: skip
ROLES = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.I), axis, role)
    for pattern, axis, role in (
        (r"(?:to be )?expect(?:ed|s|ation)?|instead of|rather than|against|versus|vs\.?|compared (?:to|with)"
         r"|should (?:have been|be|read|lie)|(?:would|is|are|were|was) (?:be |have been )?(?:normal|usual"
         r"|typical)(?! (?:again|version))|normal(?:ly)?"
         r"(?= (?:would|is|value|level|reading|at|\d))|normally|usually|predict(?:ed|s)", "seen", "expected"),
        (r"observed|measured|reads?|reading|recorded|actual(?:ly)?|reach(?:ed|es)|stood at|found at|in fact|real",
         "seen", "observed"),
        (r"before|original(?:ly)?|initial(?:ly)?|unrepaired|so far|was flagged with", "time", "before"),
        (r"after(?:wards)?|repaired|counterfactual|normal version|would (?:still )?(?:be|have|drop|fall|rise|become"
         r"|score)(?! normal)"
         r"|becomes?|(?:down|up|back)(?: above \w+)? to|(?:drops?|falls?|rises?|goes|lowers? it|sinks?|climbs?) to"
         r"|without (?=\W)", "time", "after"),
        (r"from|starts?|started|starting|began|begins?|since", "edge", "start"),
        (r"to|until|till|through|ends?|ended|ending", "edge", "end"),
        (r"lowest|smallest|minimum|minimal|min|at least", "rank", "low"),
        (r"highest|largest|maximum|maximal|max|greatest|biggest|at most", "rank", "high"),
        (r"mean|median|average|typical", "rank", "middle"),
    )
)  # fmt: skip
OF_SCORE = re.compile(r"\bof (?:the|its|their|that|this) (?:total |whole |entire |anomaly )?score\b(?! of \d)", re.I)
LEADS_ONLY = re.compile(
    r"instead|rather|against|versus|vs|compared|should|from|to\b|until|till|through|start|since|beg|reads?|reach"
    r"|stood|becomes?"
    r"|would (?!(?:be |have been )?(?:normal|usual|typical|expected))|down|up|back|drops?|falls?|rises?|goes|lowers?"
    r"|sinks?|climbs?",
    re.I,
)
CONNECT = set(
    "of is was are were at to a an the only just about around roughly nearly almost approximately equals equal comes "
    "stands lies has have had from below above under over than less more low high as by now still again went goes fell "
    "falls drop drops dropped rose rises rise value values both and or between respectively with for in on it its this "
    "that which would be been back up down well far even very so close reads s i e namely here there level".split()
)
NUMBER_WORDS = "|".join(WORDS)
BREAK = re.compile(r";|\b(?:while|whereas|but|although|though)\b|\. ", re.I)
ORDINARY = set(
    "time times value values score scores share shares count name normal anomaly alpha index state label note run "
    "source method left right top bottom width height area peak start end length position region interval channel "
    "feature sample finding part data the a an is was and or of in on at to for with by from as it its this that "
    "p x y".split()
)
VAGUE = frozenset(
    "current rate level total count main mean high data temp sensor channel motor unit side first last".split()
)
ID = re.compile(r"\b(?P<id>[RFIE]\d+)\b")
FILE = re.compile(
    r"(?<![\w/])[\w][\w\-./]*\.(?:png|jpe?g|bmp|tiff?|gif|webp|csv|tsv|parquet|npy|npz|jsonl?|mp4|avi|txt)\b", re.I
)
CALLED = re.compile(
    r"\b(?:channel|feature|column|sensor)\s(?P<name>[A-Za-z][\w-]*)(?=\s(?:is|was|has|had|reads|carries|shows"
    r"|deviates|rises|"
    r"falls|drops|accounts|contributes|stands|stays|reached|of F\d)\b|\s?[,.()]|$)"
)
NO_NAME = (
    ORDINARY
    | CONNECT
    | set(
        "alone too also here there itself together each only most first who where when because clearly then not one "
        "two three".split()
    )
)
QUOTED = re.compile(r"\"([^\"]{1,200})\"|“([^”]{1,200})”|`([^`]{1,200})`|(?<!\w)'([^']{1,200})'(?!\w)")
SNAKE = re.compile(r"\b[A-Za-z]\w*_\w+\b|\b[A-Za-z]+[-.]?\d+(?:[-.]\d+)*\b")
NUMBERED = re.compile(
    r"\b(?P<noun>part|sample|image|picture|row|record|transaction|payment|frame|no\.?|number)\s#?0*(?P<number>\d+)\b",
    re.I,
)
NUMBERED_LIST = re.compile(
    r"\b(?:parts|samples|images|pictures|rows|records|transactions|payments|frames|numbers)\s"
    r"(?P<numbers>#?\d+(?:(?:,\s?(?:and\s)?|\s(?:and|or)\s)#?\d+)*)\b",
    re.I,
)
ORDINAL_PART = re.compile(r"\b(?P<word>first|second|third|fourth|fifth)\s(?P<noun>region|interval|place|spot)\b", re.I)
