"""Checks what a sentence says about its facts without a number of its own: below alpha, returns to normal, the most
anomalous, higher than, false alarm.

Knows scenes, facts and what a number was bound to; not how sentences are split. Only what the cited facts can decide is
judged; the rest passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from assistant.evidence import format_number
from assistant.verify.beside import nearest_after, nearest_before
from assistant.verify.binding import Binder
from assistant.verify.compared import COMPARED
from assistant.verify.ordered import NOT, ORDERED, concerns, meant, value_of
from assistant.verify.supposed import RETURNS, SUPPOSED

_LESS = r"below|under(?:neath)?|beneath|less than|smaller than|lower than|within|<|≤|does not exceed|not above"
_MORE = r"above|over|exceeds?|greater than|larger than|higher than|more than|beyond|>|≥"
_ALPHA = re.compile(
    rf"(?P<word>{_LESS}|{_MORE})\s*(?:the |its |an? |this |that )?(?:chosen |new |usual )?"
    r"(?:alpha|α|threshold|significance level|limit|level)\b",
    re.I,
)
_RETURNS = re.compile(
    r"\b(?:(?:return|returns|returned|returning|back|come|comes|brought|bring|brings|go|goes"
    r"|restored?s?)\b[^,;.]{0,40}?"
    r"\bto normal|becomes? normal|(?:is|be|look|looks|count|counts as|would be) normal again"
    r"|no longer (?:be )?(?:flagged|anomalous)"
    rf"|not (?:be )?flagged any ?more|{RETURNS})",
    re.I,
)
_STAYS = re.compile(
    r"\b(?:(?:remain|remains|stay|stays|still|would still be|is still)\b[^,;.]{0,15}\b(?:flagged|anomalous|unusual))",
    re.I,
)
_FLAGGED = re.compile(r"\b(?:is|was|are|were|been)\s(?P<no>not\s|never\s)?flagged\b", re.I)
_TOP = re.compile(
    r"\b(?:most (?:anomalous|unusual|suspicious|extreme|striking|serious)|strangest|gravest|worst|oddest"
    r"|lowest p-values?"
    r"|smallest p-values?|highest (?:anomaly )?scores?)\b",
    re.I,
)
_GUILTIEST = re.compile(
    r"\b(?:guiltiest|most guilty|(?:largest|highest|biggest|greatest) share|dominates?|dominant|main (?:culprit|part"
    r"|channel|feature)"
    r"|mainly|most of (?:the|its) (?:score|anomaly)|carries most|stands out most|strongest)\b",
    re.I,
)
_THAN = re.compile(
    r"\b(?P<more>more|less|higher|lower|larger|smaller|greater|bigger)\s(?P<what>anomalous|unusual|suspicious"
    r"|extreme|p-values?|scores?|shares?)"
    r"\s(?:than|of)\b(?! (?:the )?(?:expected|normal|usual|alpha))",
    re.I,
)
_MORE_ALONE = re.compile(
    r"\b(?P<more>more|less) (?:anomalous|unusual|suspicious|extreme)(?: one| finding| part)?(?: of (?:the|them|both)\b"
    r"|[.:;,]|$)|\bthe (?P<more2>higher|lower|larger|smaller|greater) (?P<what>p-value|score)(?! than)",
    re.I,
)
_THAN_NORMAL = re.compile(
    r"\b(?P<word>higher|more|greater|larger|above|lower|less|smaller|below)(?: than)?(?: the| any| every| all)?"
    r"(?: (?P<which>highest|largest|lowest|median|typical|average))? normal (?:score|sample|part|one|median)",
    re.I,
)
_STATES = (
    (
        re.compile(r"\b(?:is|was|been|as|are)\s(?:a |marked as a |labelled as a )?false alarm", re.I),
        {"false alarm", "normal"},
    ),
    (re.compile(r"\b(?:is|was|been|are)\s(?:now )?confirmed\b|\bconfirmed as\b", re.I), {"confirmed", "anomaly"}),
)


def relation_problems(binder: Binder) -> list[str]:
    """What the sentence says wrongly about its facts, one clause each."""
    checks: tuple[Callable[[Binder], str], ...] = (
        _alone,
        _beside_normal,
        _alpha,
        _polarity,
        _flagged,
        _superlative,
        _guilt,
        _than,
        _state,
        _extrapolated,
        lambda one: one.tallies.order_problem(),
    )
    return [problem for check in (*checks, *ORDERED, *SUPPOSED, *COMPARED) if (problem := check(binder))]


def _alpha(binder: Binder) -> str:
    """ "below alpha": the p-value of the sentence against the alpha of its facts."""
    scene = binder.scene
    for match in _ALPHA.finditer(scene.text):
        less = re.fullmatch(_LESS, match["word"], re.I) is not None
        if NOT.search(scene.text[: match.start()]):
            less = not less
        alpha = _limit(binder, match.end())
        values = _p_values(binder, match.start())
        if alpha is None or not values:
            continue
        if not any((p <= alpha) == less for p in values):
            shown = " or ".join(dict.fromkeys(format_number(p) for p in values))
            return f"the p-value {shown} is {'not below' if less else 'not above'} alpha {format_number(alpha)}"
    return ""


def _limit(binder: Binder, position: int) -> float | None:
    """The alpha meant: the number right behind the word, else the one alpha of the facts."""
    for number in binder.scene.numbers:
        if position <= number.start <= position + 12:
            return number.value
    values = {k.number for k in binder.pool.numbers if k.fact.field == "alpha" and k.bases and k.number is not None}
    return values.pop() if len(values) == 1 else None


def _p_values(binder: Binder, position: int) -> list[float]:
    """The p-values that a comparison before `position` may speak of."""
    scene = binder.scene
    for number in reversed([n for n in scene.numbers if n.end <= position]):
        bound = [k for k in binder.facts_of(number) if "value" in k.words]
        if bound:
            return [k.number for k in bound if k.number is not None]
    owners = nearest_before(scene.bases, position) or nearest_after(scene.bases, position)
    names = owners.names if owners else scene.context
    found = [
        k for k in binder.pool.numbers
        if {"p", "value"} <= k.words and k.level == "finding" and (not names or k.bases & names)
    ]  # fmt: skip
    after = [k for k in found if k.roles.get("time") == "after"]
    if after and scene.has(r"after\w*|repair\w*|counterfactual|would|if|without|back|again|returns?|rises?|then|now"):
        found = after
    return [k.number for k in found if k.number is not None]


def asserts(text: str) -> bool:
    """Whether a sentence says something that is checked here even where it names nothing: "It returns to normal"."""
    return any(pattern.search(text) for pattern in (_RETURNS, _STAYS, _FLAGGED))


def _polarity(binder: Binder) -> str:
    """ "returns to normal" and "stays flagged" against the fact."""
    scene = binder.scene
    said: bool | None = None
    if match := _RETURNS.search(scene.text):
        said = NOT.search(scene.text[: match.start()]) is None
    elif match := _STAYS.search(scene.text):
        said = NOT.search(scene.text[: match.start()]) is not None
    if said is None or re.search(r"\b(?:whether|if)\b", scene.text[: match.start() if match else 0], re.I):
        return ""
    facts = [k for k in binder.pool.known if k.fact.field == "returns_to_normal" and concerns(binder, k)]
    if not facts or any(k.fact.value is said for k in facts):
        return ""
    known = facts[0]
    return f"{known.fact.subject}.returns_to_normal is {str(known.fact.value).lower()} in {known.evidence}"


def _flagged(binder: Binder) -> str:
    """ "was (not) flagged" against the fact, for samples that were looked up."""
    scene = binder.scene
    match = _FLAGGED.search(scene.text)
    if match is None:
        return ""
    said = match["no"] is None
    owner = nearest_before(scene.bases, match.start()) or nearest_after(scene.bases, match.end())
    facts = [
        k for k in binder.pool.known
        if k.fact.field == "flagged" and isinstance(k.fact.value, bool) and (owner is None or k.bases & owner.names)
    ]  # fmt: skip
    if facts and all(k.fact.value is not said for k in facts):
        return f"{facts[0].fact.subject}.flagged is {str(facts[0].fact.value).lower()} in {facts[0].evidence}"
    return ""


def _extrapolated(binder: Binder) -> str:
    match = re.search(r"\bextrapolated\b", binder.scene.text, re.I)
    facts = [k for k in binder.pool.known if k.fact.field == "extrapolated" and concerns(binder, k)]
    if match is None or not facts:
        return ""
    said = NOT.search(binder.scene.text[: match.start()]) is None
    if any(k.fact.value is said for k in facts):
        return ""
    return f"{facts[0].fact.subject}.extrapolated is {str(facts[0].fact.value).lower()} in {facts[0].evidence}"


def _superlative(binder: Binder) -> str:
    """ "F12 is the most anomalous": the lowest p-value (or the highest score) among the findings of the evidence."""
    scene = binder.scene
    match = _TOP.search(scene.text)
    if match is None or re.search(
        r"\b(?:one of the|among the|second|third|fourth|\d+|two|three|four|five|ten)\W*$",
        scene.text[: match.start()],
        re.I,
    ):
        return ""
    owner = meant(scene.bases, scene.text, match.start(), match.end())
    if owner is None:
        return ""
    best = [k for k in binder.pool.texts if k.fact.field == "most_anomalous"]
    scores = _ranking(binder, {"score"}, high=True)
    leaders = {base for known in best for base in (str(known.fact.value),)} | _ranking(
        binder, {"p", "value"}, high=False
    )
    if "score" in match[0].lower():
        leaders = scores
    elif leaders and scores:
        leaders |= scores if not best and "p-value" not in match[0].lower() else set()
    if leaders and not leaders & owner.names and any(re.fullmatch(r"F\d+", name) for name in owner.names):
        return f"the {match[0].lower()} is {' or '.join(sorted(leaders))} in the cited evidence"
    return ""


def _ranking(binder: Binder, words: set[str], high: bool) -> set[str]:
    """The findings that lead by a plain fact, if the evidence holds it for at least two."""
    found = {
        k.bases: k.number
        for k in binder.pool.numbers
        if k.words == words and k.level == "finding" and k.number is not None
    }
    if len(found) < 2:
        return set()
    best = max(found.values()) if high else min(found.values())
    return {base for bases, value in found.items() if value == best for base in bases}


def _guilt(binder: Binder) -> str:
    """ "cpu carries most of the score": the part with the largest share among its like."""
    scene = binder.scene
    match = _GUILTIEST.search(scene.text)
    if match is None or re.search(
        r"\b(?:second|third|one of the|not)\W*(?:\w+\W+)?$", scene.text[: match.start()], re.I
    ):
        return ""
    named = [part for part in scene.parts if part.kind not in ("region", "interval", "place")] or scene.parts
    part = meant(named, scene.text, match.start(), match.end())
    if part is None:
        return ""
    owner = nearest_before(scene.bases, match.start())
    mains = [k for k in binder.pool.texts if k.fact.field == "main_part" and concerns(binder, k)]
    mains = [k for k in mains if owner is None or k.bases & owner.names]
    if mains and not any(k.fact.value in part.names for k in mains):
        return f"{mains[0]}"
    for known in binder.pool.numbers:
        if known.part in part.names and known.fact.field == "share" and concerns(binder, known):
            peers = [
                k
                for k in binder.pool.numbers
                if k.bases == known.bases and k.kind == known.kind and k.words == known.words
            ]
            best = max(peers, key=lambda k: k.number or 0.0)
            if (best.number or 0.0) > (known.number or 0.0):
                return f"the largest share is {best.part}'s in {best.evidence}"
            return ""
    return ""


def _than(binder: Binder) -> str:
    """ "F12 is more anomalous than F13", "has a lower p-value than F13"."""
    scene = binder.scene
    match = _THAN.search(scene.text)
    if match is None or NOT.search(scene.text[: match.start()]):
        return ""
    what = match["what"].lower()
    more = (match["more"] or match["more2"]).lower() in ("more", "higher", "larger", "greater", "bigger")
    words = {"score"} if what.startswith("score") else {"share"} if what.startswith("share") else {"p", "value"}
    if words == {"p", "value"} and not what.startswith("p-value"):
        more = not more  # more anomalous: the smaller p-value
    mentions = scene.parts if what.startswith("share") else scene.bases
    first, second = nearest_before(mentions, match.start()), nearest_after(mentions, match.end())
    one, two = value_of(binder, first, words), value_of(binder, second, words)
    if one is None or two is None or one == two or (one > two) == more:
        return ""
    return f"'{match[0]}' is the wrong way round: {format_number(one)} against {format_number(two)}"


def _alone(binder: Binder) -> str:
    """ "F5 is the more anomalous one": against the other findings of the evidence."""
    scene = binder.scene
    match = _MORE_ALONE.search(scene.text)
    owner = nearest_before(scene.bases, match.start()) if match else None
    if match is None or owner is None or NOT.search(scene.text[: match.start()]):
        return ""
    more = (match["more"] or match["more2"]).lower() in ("more", "higher", "larger", "greater", "bigger")
    what = (match["what"] or "").lower()
    leaders = set[str]()
    if not what or what.startswith("p"):
        leaders |= _ranking(binder, {"p", "value"}, high=more == bool(what))
    if not what or what.startswith("s"):
        leaders |= _ranking(binder, {"score"}, high=more)
    if leaders and not leaders & owner.names:
        return f"'{match[0].strip(' .,:;')}' is {' or '.join(sorted(leaders))} in {binder.pool.cited}"
    return ""


def _beside_normal(binder: Binder) -> str:
    """ "scores lower than the highest normal score": the finding's score against those of normal samples."""
    scene = binder.scene
    match = _THAN_NORMAL.search(scene.text)
    if match is None or NOT.search(scene.text[: match.start()]):
        return ""
    which = {"highest": "max", "largest": "max", "lowest": "min"}.get((match["which"] or "").lower(), "median")
    owner = nearest_before(scene.bases, match.start())
    names = owner.names if owner else scene.context
    score = [k for k in binder.pool.numbers if k.fact.field == "score" and (not names or k.bases & names)]
    normal = [
        k for k in binder.pool.numbers
        if {"normal", "score"} <= k.words and which in k.words and (not names or k.bases & names)
    ]  # fmt: skip
    if len(score) != 1 or len(normal) != 1 or score[0].number is None or normal[0].number is None:
        return ""
    more = match["word"].lower() in ("higher", "more", "greater", "above", "larger")
    if (score[0].number > normal[0].number) == more:
        return ""
    return f"{score[0]}, and {normal[0]}"


def _state(binder: Binder) -> str:
    """ "is a false alarm", "was confirmed" against state and label."""
    scene = binder.scene
    for pattern, right in _STATES:
        match = pattern.search(scene.text)
        if (
            match is None
            or NOT.search(scene.text[: match.start() + 4])
            or scene.has("if|whether|may|might|could|would")
        ):
            continue
        facts = [k for k in binder.pool.texts if k.fact.field in ("state", "label") and concerns(binder, k)]
        if facts and not any(k.fact.value in right for k in facts):
            return f"{facts[0]}"
        if not facts and not binder.pool.says("false alarm" if "normal" in right else "confirmed"):
            return f"{binder.pool.cited} does not say how it was labelled"
    return ""
