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
from assistant.verify.clauses import NOT
from assistant.verify.compared import COMPARED
from assistant.verify.ordered import ORDERED, concerns, value_of
from assistant.verify.polarity import polarity_problems
from assistant.verify.ranks import rank_problems
from assistant.verify.sets import set_problems
from assistant.verify.supposed import RETURNS, SUPPOSED

_LESS = (
    r"below|under(?:neath)?|beneath|less than|smaller than|lower than|within|<|≤|does not exceed|not above"
    r"|(?:falls?|fell|stays?|remains?) short of|short of"
)
_MORE = r"above|over|exceeds?|greater than|larger than|higher than|more than|beyond|>|≥"
_ALPHA = re.compile(
    rf"(?P<word>{_LESS}|{_MORE})\s*(?:the |its |an? |this |that )?(?:chosen |new |usual )?"
    r"(?:alpha|α|threshold|significance level|limit|level(?! shift))\b",
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
        _beside_normal,
        _alpha,
        _polarity,
        _than,
        lambda one: one.tallies.order_problem(),
    )
    found = [problem for check in (*checks, *ORDERED, *SUPPOSED, *COMPARED) if (problem := check(binder))]
    return [
        *found,
        *binder.comparing.problems(),
        *rank_problems(binder),
        *polarity_problems(binder),
        *set_problems(binder),
        *binder.rows.problems(),
        *binder.tallies.trial_problems(),
    ]


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
    if said is None or re.search(r"\b(?:whether|if)\b[^,]*$", scene.text[: match.start() if match else 0], re.I):
        return ""
    facts = [k for k in binder.pool.known if k.fact.field == "returns_to_normal" and concerns(binder, k)]
    if not facts or any(k.fact.value is said for k in facts):
        return ""
    known = facts[0]
    return f"{known.fact.subject}.returns_to_normal is {str(known.fact.value).lower()} in {known.evidence}"


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
