"""Words by which sentences compare: "brighter", "less anomalous", "the second-largest", and the facts they speak of.

Knows English and names of fields; not sentences or evidence. A quality lists fields in the order in which they are
looked for; a minus says that less of the field is more of the quality (a lower p-value is more anomalous).
"""

# ruff: noqa: SIM905 - lists of words read better as text
from __future__ import annotations

import re
from dataclasses import dataclass

_QUALITIES = (  # words for more of it; words for less of it; fields
    ("anomalous unusual suspicious extreme strange odd serious severe grave striking conspicuous abnormal strong bad"
     " deviant noticeable clear significant atypical alarming remarkable pronounced critical urgent",
     "mild harmless benign inconspicuous weak moderate normal subtle faint ordinary typical",
     "-p_value score share"),
    ("large big extensive", "small", "area length duration findings share"),
    ("wide broad", "narrow", "width"),
    ("tall", "", "height"),
    ("long", "short brief", "duration length last_day"),
    ("bright light pale", "dark dim", "observed observed_brightness"),
    ("rough textured", "smooth", "observed_texture texture_ratio roughness_ratio"),
    ("contrasty", "", "observed_contrast"),
    ("hot warm", "cold cool", "observed"),
    ("fast quick", "slow", "observed motion_ratio motion"),
    ("loud noisy", "quiet calm", "observed"),
    ("heavy old rich expensive thick costly", "young cheap thin poor", "observed"),
    ("high great", "low", "observed score share peak"),
    ("late recent", "early", "start_time onset onset_time delay first_frame peak_frame start first_time"),
    ("similar alike close near like", "dissimilar distant far different", "similarity -distance"),
    ("frequent common numerous prevalent often widespread", "infrequent rare seldom", "findings"),
    ("important guilty dominant influential decisive responsible relevant affected", "negligible unimportant", "share"),
    ("confident certain sure reliable", "uncertain doubtful", "kind_confidence"),
    ("precise", "imprecise", "precision"),
)  # fmt: skip
GENERIC = frozenset("high low large small great big more less fewer bad good".split())
_IRREGULAR = {"bad": ("worse", "worst"), "far": ("farther", "farthest"), "often": ("oftener", "oftenest")}
_DOUBLED = frozenset("big hot dim thin".split())


@dataclass(frozen=True)
class Quality:
    """What a word compares by."""

    word: str
    fields: tuple[tuple[str, bool], ...]  # (field, whether more of it is more of the quality)
    up: bool  # whether the word says more of the quality


def _forms(word: str) -> tuple[str, str]:
    """Comparative and superlative: "dark" -> ("darker", "darkest")."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    stem = word[:-1] + "i" if word.endswith("y") else word[:-1] if word.endswith("e") else word
    stem = stem + stem[-1] if word in _DOUBLED else stem
    return f"{stem}er", f"{stem}est"


def _fields(text: str) -> tuple[tuple[str, bool], ...]:
    return tuple((name.lstrip("-"), not name.startswith("-")) for name in text.split())


BASE: dict[str, Quality] = {}
for _more, _less, _names in _QUALITIES:
    for _words, _up in ((_more, True), (_less, False)):
        for _word in _words.split():
            BASE.setdefault(_word, Quality(_word, _fields(_names), _up))
SIDES = {
    "high": Quality("high", _fields("height"), True),
    "thick": Quality("thick", _fields("thickness"), True),
    "long": Quality("long", _fields("length"), True),
    "wide": Quality("wide", _fields("width"), True),
}  # "wider than it is high"
_AMOUNT = Quality("more", _fields("findings share"), True)
COMPARATIVE = {_forms(word)[0]: one for word, one in BASE.items()} | {
    "more": _AMOUNT, "less": Quality("less", _AMOUNT.fields, False), "fewer": Quality("fewer", _AMOUNT.fields, False),
    "sooner": Quality("early", BASE["early"].fields, False),
}  # fmt: skip
SUPERLATIVE = {_forms(word)[1]: one for word, one in BASE.items()} | {
    "most": _AMOUNT, "least": Quality("less", _AMOUNT.fields, False), "fewest": Quality("fewer", _AMOUNT.fields, False),
    "maximum": BASE["high"], "minimum": BASE["low"],
}  # fmt: skip


def _any(words: dict[str, Quality]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


ADJECTIVES = _any(BASE)
COMPARATIVE_WORDS = rf"(?:(?P<degree>more|less) (?P<adjective>{ADJECTIVES})|(?P<word>{_any(COMPARATIVE)}))\b"
SUPERLATIVE_WORDS = rf"(?:(?P<degree>most|least)[ -](?P<adjective>{ADJECTIVES})|(?P<word>{_any(SUPERLATIVE)}))\b"


def quality_of(match: re.Match[str]) -> Quality:
    """The quality that a match of one of the patterns above names, with its direction."""
    if match["adjective"]:
        base = BASE[match["adjective"].lower()]
        return Quality(base.word, base.fields, base.up == (match["degree"].lower() in ("more", "most")))
    word = match["word"].lower()
    return COMPARATIVE.get(word) or SUPERLATIVE[word]
