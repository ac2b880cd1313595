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
from assistant.verify.binding import Binder, concerns
from assistant.verify.clauses import NOT
from assistant.verify.compared import expected_problem
from assistant.verify.polarity import polarity_problems
from assistant.verify.ranks import rank_problems
from assistant.verify.sets import set_problems
from assistant.verify.supposed import RETURNS, SUPPOSED
from assistant.verify.values import value_problems

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
    r"\b(?:(?:remain|remains|stay|stays|still|would (?:still )?be|is still)\b[^,;.]{0,15}\b(?:flagged|anomalous"
    r"|unusual))",
    re.I,
)
_FLAGGED = re.compile(r"\b(?:is|was|are|were|been)\s(?P<no>not\s|never\s)?flagged\b", re.I)


def relation_problems(binder: Binder) -> list[str]:
    """What the sentence says wrongly about its facts, one clause each."""
    checks: tuple[Callable[[Binder], str], ...] = (
        _alpha,
        _polarity,
        expected_problem,
        lambda one: one.tallies.order_problem(),
    )
    found = [problem for check in (*checks, *SUPPOSED) if (problem := check(binder))]
    return [
        *found,
        *binder.comparing.problems(),
        *rank_problems(binder),
        *polarity_problems(binder),
        *set_problems(binder),
        *binder.rows.problems(),
        *value_problems(binder),
        *binder.tallies.trials.problems(),
        *binder.tallies.all_problems(),
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
