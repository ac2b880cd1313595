"""Checks what a sentence says yes or no to: drifting, flagged, sufficient, the same place, confirmed, borne out.

Knows scenes and facts. A row of the table names the facts that decide and the words that affirm; denial turns them
round, and what is only supposed ("whether", "if", "may") is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from assistant.verify.binding import Binder, concerns
from assistant.verify.clauses import NOT, clause_at
from assistant.verify.facts import Known
from assistant.verify.mentions import Mention
from assistant.verify.owners import is_finding

_SUPPOSED = re.compile(r"\b(?:whether|if|may|might|could|unclear|unknown)\b[^,;:]{0,40}$")
_DENIED = re.compile(
    r"(?:\b(?:no|without|not|free of|neither|nor|never|isn't|any|nothing|fails? to|cannot|hardly|barely"
    r"|far from|no sign"
    r" of|least)\b|n['’]t\b)[^,;:.]{0,35}$",
    re.I,
)
_BOOLEANS: tuple[tuple[str, re.Pattern[str], re.Pattern[str] | None], ...] = (  # field, words for yes, words for no
    ("drifting", re.compile(r"\bdrift(?:s|ing|ed)?\b(?! (?:kind|of the (?:channel|sensor)))"
                            r"|\b(?:batch|run|data)(?: as a whole)? (?:has |have )?(?:moved|shifted)\b", re.I),
     re.compile(r"\bstable overall\b|\bno sign of drift\b", re.I)),
    ("extrapolated", re.compile(r"\bextrapolat(?:ed|ion)\b", re.I), None),
    ("flagged_by_method", re.compile(r"\b(?:would|does|did|do)(?:n't| not)? (?:\w+ )?(?:have )?flag(?:ged)?\b", re.I),
     re.compile(r"\bwould (?:have )?(?:miss(?:ed)?|pass(?:ed)?|overlook(?:ed)?)\b", re.I)),
    ("sufficient", re.compile(r"\bsufficient\b|\bsuffices?\b", re.I), re.compile(r"\binsufficient\b", re.I)),
    ("necessary", re.compile(r"\bnecessary\b", re.I), re.compile(r"\bunnecessary\b", re.I)),
    ("same_position", re.compile(r"\b(?:in|at|share) the same (?:place|position|spot|location|area|corner"
        r"|part)\b", re.I),
     re.compile(r"\b(?:different|other|separate) (?:place|position|spot|location|area|corner|part)s?\b"
                r"|\blie apart\b|\belsewhere\b", re.I)),
    ("in_force", re.compile(r"\b(?:in force|active|applies)\b", re.I), re.compile(r"\b(?:lapsed|ended"
        r"|inactive)\b", re.I)),
)  # fmt: skip
_FLAGGED = re.compile(
    r"\b(?:is|was|are|were|been|be|got|looks?|seems?) (?P<no>not |never )?(?:\w+ly )?"
    r"(?P<how>flagged|rejected|reported|anomalous|unusual|suspicious|conspicuous"
    r"|(?P<fine>inconspicuous|unremarkable|unsuspicious|accepted|passed|fine|in order))\b",
    re.I,
)
_STATES = (
    ("confirmed", re.compile(r"\bconfirmed\b(?! (?:findings?|by)\b)", re.I), ("confirmed", "anomaly")),
    ("false alarm", re.compile(r"\b(?:false alarms?|dismissed)\b", re.I), ("false alarm", "normal")),
    ("new", re.compile(
        r"\b(?:still new|is new|are new|(?:not|n't|nobody|never|no one|yet to be|hasn't) (?:\w+ ){0,2}?(?:yet )?"
        r"(?:been )?(?:labell?ed|reviewed|judged|assessed|looked at|checked)|unlabell?ed|unreviewed"
        r"|(?:still )?(?:awaits?|awaiting|pending) (?:a )?(?:review|label|judgement))\b", re.I), ("new",)),
)  # fmt: skip
_VERDICT = re.compile(r"\b(?P<no>(?:not|partly|partially) )?(?P<what>borne out|refuted|contradicted|disproved)\b", re.I)
_TOWARDS = re.compile(
    r"\b(?:drift\w*|shift\w*|mov\w+)\b[^.;]{0,25}?\b(?P<way>higher|lower|up(?:wards?)?|down(?:wards?)?)\b", re.I
)
_UNLIKE = re.compile(r"\b(?:unlike|in contrast to|as opposed to|other than|apart from|except)\s(?:\w+\s)?$", re.I)
_LABELLED = re.compile(
    r"\b(?:labelled|marked|put down|recorded|classed)(?: as)?(?: an?)? (?P<what>normal|anomal(?:y|ous))\b", re.I
)
_LIKE: tuple[tuple[re.Pattern[str], float, float], ...] = (  # words, from which similarity, up to which
    (re.compile(r"\balmost (?:the same|identical|alike)\b|\b(?:nearly|virtually|practically) (?:the same|identical)\b"
                r"|\bclosely resembles?\b|\bresembles? (?:it |each other )?closely\b|\b(?:very|highly) similar\b"
                r"|\bmuch alike\b|\bvery (?:much )?alike\b", re.I), 0.6, 9.0),
    (re.compile(r"\bhardly (?:resembles?|similar|alike)\b|\blittle in common\b|\b(?:quite|very|entirely"
        r"|completely) different\b"
                r"|\bunrelated\b|\bdissimilar\b|\bnothing alike\b|\bbarely (?:resembles?|similar)\b", re.I), -1.0, 0.6),
)  # fmt: skip
_ALL_RUNS = re.compile(r"\b(?:all|every|each)\b(?: (?:of the |the )?\w+)? (?:runs?|repeats?|seeds?|times)\b", re.I)
_NONE = re.compile(
    r"\b(?:none|no (?:finding|one|sample|event|alarm)s?)\b[^,;.]{0,40}?\b(?P<what>confirmed|dismissed|false alarm)",
    re.I,
)


def polarity_problems(binder: Binder) -> Iterator[str]:
    """What a sentence affirms or denies against its facts."""
    for check in _CHECKS:
        yield from check(binder)


def _booleans(binder: Binder) -> Iterator[str]:
    text = binder.scene.text
    for field, yes, no in _BOOLEANS:
        facts = [k for k in binder.pool.known if k.fact.field == field and isinstance(k.fact.value, bool)]
        facts = [k for k in facts if k.level != "finding" or concerns(binder, k)]
        if not facts:
            continue
        for pattern, value in ((no, False), (yes, True)):
            match = pattern.search(text) if pattern else None
            if match is None or _SUPPOSED.search(text[: match.start()]):
                continue
            inside = re.search(r"n't\b|\bnot\b", match[0]) is not None
            said = value != (inside or _DENIED.search(_clause_before(text, match.start())) is not None)
            if not any(k.fact.value is said for k in facts):
                yield f"{facts[0].fact.subject}.{field} is {str(facts[0].fact.value).lower()} in {facts[0].evidence}"
            break


def _clause_before(text: str, position: int) -> str:
    return text[clause_at(text, position)[0] : position]


def _flagged(binder: Binder) -> Iterator[str]:
    """ "was (not) flagged", for samples that were looked up."""
    scene = binder.scene
    match = _FLAGGED.search(scene.text)
    if match is None or _SUPPOSED.search(scene.text[: match.start()]):
        return
    owners = _owners(binder, match)
    facts = [
        k for k in binder.pool.known
        if k.fact.field == "flagged" and isinstance(k.fact.value, bool) and (not owners or k.bases & owners)
    ]  # fmt: skip
    said = (match["no"] is None) == (match["fine"] is None) and not re.search(
        r"\b(?:neither|nor|none)\b", scene.text[: match.start()], re.I
    )
    if facts and all(k.fact.value is not said for k in facts):
        yield f"{facts[0].fact.subject}.flagged is {str(facts[0].fact.value).lower()} in {facts[0].evidence}"


def _owners(binder: Binder, match: re.Match[str]) -> frozenset[str]:
    """The findings that a word speaks of: those named before it in its clause, else after it, else all of them."""
    scene = binder.scene
    start, end = clause_at(scene.text, match.start())
    bases = [m for m in scene.bases if any(is_finding(name) for name in m.names)]
    bases = [m for m in bases if not _UNLIKE.search(scene.text[: m.start])]
    ahead = [m for m in bases if start <= m.start < match.start()]
    behind = [m for m in bases if match.end() <= m.start < end]
    if not ahead and re.match(r"\W*(?:and |but |so )?(?:it|which|this one)\b", scene.text[start:], re.I):
        earlier = [
            m
            for m in bases
            if m.end <= start + 1 and not re.search(r"\b(?:of|to|from|than|like)\s$", scene.text[: m.start])
        ]
        ahead = earlier[-1:]
    chosen: list[Mention] = ahead[-1:] or behind[:1] or [m for m in bases if m.end <= match.start()][-1:] or bases
    return frozenset(name for m in chosen for name in m.names) or scene.context


def _states(binder: Binder) -> Iterator[str]:
    """ "is a false alarm", "was confirmed", "has not been labelled yet" against state and label."""
    scene, pool = binder.scene, binder.pool
    for name, pattern, values in _STATES:
        for match in pattern.finditer(scene.text):
            ahead = scene.text[: match.start()]
            if _SUPPOSED.search(ahead) or scene.has("would|should"):
                continue
            owners = _named(binder, match) if _counted(binder, match) else _owners(binder, match)
            facts = [k for k in pool.texts if k.fact.field in ("state", "label") and k.bases & owners]
            said = name == "new" or _DENIED.search(_clause_before(scene.text, match.start())) is None
            if facts and any(k.fact.value in values for k in facts) is not said:
                yield f"{facts[0]}"
            elif not facts and owners and said and name not in pool.notes:
                yield f"{pool.cited} does not say how it was labelled"
            elif facts and said and re.search(r"\bonly (?:\w+ )?F\d+\b[^,;]*$", ahead):
                others = [k for k in pool.texts if k.fact.field == "state" and k.fact.value in values]
                yield from (f"{k}" for k in others if not k.bases & owners)


def _both(binder: Binder) -> Iterator[str]:
    """ "Both have been confirmed", "all four are new": of each finding that is named, or that there is."""
    scene, pool = binder.scene, binder.pool
    for _, pattern, values in _STATES:
        match = pattern.search(scene.text)
        start = clause_at(scene.text, match.start())[0] if match else 0
        word = (
            re.search(r"\b(?P<word>both|all|neither|none)\b", scene.text[start : match.start()], re.I)
            if match
            else None
        )
        if match is None or word is None or _SUPPOSED.search(scene.text[: match.start()]) or re.search(
            r"\bnot (?:both|all)\b|\bexcept|\bbut\b", scene.text[: match.start()], re.I
        ):  # fmt: skip
            continue
        names = {n for m in scene.bases if m.end <= match.start() for n in m.names if n[0] == "F"}
        facts = [k for k in pool.texts if k.fact.field == "state" and (not names or k.bases & names)]
        if len(facts) < 2 or (word["word"].lower() in ("both", "neither") and len(facts) != 2):
            continue
        said = word["word"].lower() in ("both", "all")
        yield from (f"{k}" for k in facts[:8] if (k.fact.value in values) is not said)


def _label(binder: Binder) -> Iterator[str]:
    """ "has been labelled as an anomaly"."""
    match = _LABELLED.search(binder.scene.text)
    facts = [k for k in binder.pool.texts if k.fact.field == "label" and (match and k.bases & _owners(binder, match))]
    if match is None or not facts or _DENIED.search(_clause_before(binder.scene.text, match.start())):
        return
    told = "anomaly" if match["what"].lower().startswith("anom") else "normal"
    if str(facts[0].fact.value) != told:
        yield f"{facts[0]}"


def _likeness(binder: Binder) -> Iterator[str]:
    """ "F405 looks almost the same as F402", "hardly resembles it"."""
    scene = binder.scene
    for pattern, least, most in _LIKE:
        for match in pattern.finditer(scene.text):
            if _SUPPOSED.search(scene.text[: match.start()]) or NOT.search(scene.text[: match.start()]):
                continue
            start, end = clause_at(scene.text, match.start())
            here = [m.names for m in scene.bases if start <= m.start < end and any(is_finding(n) for n in m.names)]
            every = [m.names for m in scene.bases if any(is_finding(n) for n in m.names)]
            facts = [k for k in binder.pool.numbers if k.fact.field == "similarity"]
            chosen = [k for k in facts if all(k.bases & names for names in (here or every))]
            if len(here or every) and len(chosen) == 1 and not least <= (chosen[0].number or 0.0) <= most:
                yield f"{chosen[0]}"


def _named(binder: Binder, match: re.Match[str]) -> frozenset[str]:
    """Those that are listed after a counted state: "one is a false alarm, namely F40"."""
    found = re.match(r"[^,;:(]{0,20}[,:(]\s(?:namely |that is |i\.e\.,? )?(?=F\d)", binder.scene.text[match.end() :])
    first = next((m for m in binder.scene.bases if found and m.start == match.end() + found.end()), None)
    return first.names if first else frozenset()


def _counted(binder: Binder, match: re.Match[str]) -> bool:
    """Whether a state is counted and not said of a finding: "two confirmed", "none has been confirmed"."""
    text, start = binder.scene.text, clause_at(binder.scene.text, match.start())[0]
    named = [m.end for m in binder.scene.bases if m.end <= match.start() and any(is_finding(n) for n in m.names)]
    start = max([start, *named])
    counts = any(start <= n.start < match.start() and n.kind in ("word", "plain", "fraction") and not n.unit
                 for n in binder.scene.numbers)  # fmt: skip
    words = r"\b(?:none|no (?:finding|one|sample|event|alarm)s?|all|both|some|most|each|only)\b"
    return counts or re.search(words, text[start : match.start()], re.I) is not None


def _verdict(binder: Binder) -> Iterator[str]:
    """ "so the explanation is borne out"."""
    match = _VERDICT.search(binder.scene.text)
    told = [k for k in binder.pool.texts if k.fact.field == "verdict" and "borne out" in str(k.fact.value)]
    if match is None or not told:
        return
    no = (match["no"] or "").strip().lower().replace("partially", "partly")
    said = f"{no} borne out".strip() if match["what"].lower() == "borne out" else "not borne out"
    if not any(k.fact.value == said for k in told):
        yield f"{told[0]}"


def _direction(binder: Binder) -> Iterator[str]:
    """ "drifting towards lower scores"."""
    match = _TOWARDS.search(binder.scene.text)
    told = [k for k in binder.pool.texts if k.fact.field == "drift_direction"]
    if match is None or not told:
        return
    up = match["way"].lower().startswith(("h", "u"))
    words = str(told[0].fact.value).lower()
    if (up and re.search(r"\b(?:lower|down)", words)) or (not up and re.search(r"\b(?:higher|up)", words)):
        yield f"{told[0]}"


def _always(binder: Binder) -> Iterator[str]:
    """ "was flagged in all ten runs"."""
    match = _ALL_RUNS.search(binder.scene.text)
    if match is None or NOT.search(binder.scene.text[: match.start() + 1]):
        return
    agree = [k for k in binder.pool.numbers if k.fact.field == "runs_flagging" and concerns(binder, k)]
    asked: list[Known] = [k for k in binder.pool.numbers if k.fact.field == "runs_asked" and concerns(binder, k)]
    if agree and asked and agree[0].number != asked[0].number and binder.scene.has("flagg\\w+|found|agree\\w*|stable"):
        yield f"{agree[0]}, and {asked[0]}"


def _none(binder: Binder) -> Iterator[str]:
    """ "none has been confirmed" against the counts of a run."""
    match = _NONE.search(binder.scene.text)
    if match is None:
        return
    key = "confirmed_findings" if match["what"].lower() == "confirmed" else "false_alarm_findings"
    yield from (f"{k}" for k in binder.pool.numbers if k.fact.field == key and k.number)


_CHECKS: tuple[Callable[[Binder], Iterator[str]], ...] = (
    _booleans, _flagged, _states, _none, _both, _label, _likeness, _verdict, _direction, _always,
)  # fmt: skip
