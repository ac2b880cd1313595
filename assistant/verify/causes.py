"""Checks what a sentence gives as a cause: findings say what is unusual and where, seldom why it came about.

"F3 was flagged because of region 1" tells what the score stands on, and holds where the evidence knows region 1. "The
drift was caused by a worn bearing" tells how something came about: it holds only where a note in the evidence, or the
person, says so. Knows English words for causes and facts; not other claims.
"""

from __future__ import annotations

import re

from assistant.verify.facts import Pool
from assistant.verify.scene import Scene

_BEHIND = re.compile(  # effect, then cause
    r"\b(?:(?:is|was|were|are|been|be|being|got|most likely|probably|possibly)\s+)?(?:caused|triggered|provoked|induced"
    r"|brought about|produced|set off)\s+by\b|\bbecause(?: of)?\b|\b(?:due|owing|thanks) to\b"
    r"|\b(?:stem(?:s|med)?|result(?:s|ed)?|originat(?:es|ed)|aris(?:es|ing)|arose|came) from\b"
    r"|\b(?:was|were|been|is|are) (?:\w+ly )?(?:left|made|done|damaged|introduced|created|scratched|hit|bent"
    r"|dropped|touched"
    r"|moved|broken|spilled|soiled|contaminated|scraped|bumped|entered|typed) (?:\w+ )?by\b"
    r"|\bas a (?:result|consequence) of\b|\b(?:is|was) (?:the|a) (?:result|consequence) of\b"
    r"|\b(?:the )?(?:(?:root|real|likely|physical|underlying|probable|most likely|actual) )*(?:cause|reason)s?"
    r"(?: (?:for|of|behind) [^,;.]{2,50}?)? (?:is|was|are|were|must be|seems to be|appears to be)(?! (?:not|un))\b",
    re.I,
)
_AHEAD = re.compile(  # cause, then effect
    r"\b(?:led to|leads to|resulted in|results in|gave rise to|brought about|is responsible for|was responsible for"
    r"|(?<!\bbe )(?<!\bwas )(?<!\bis )(?<!\bwere )(?:caused|causes|triggered|triggers|provoked)(?! by))\b"
    r"|\b(?:which|that) (?:is|was|explains|would explain) why\b|,? so that is why\b"
    r"|\b(?:made|makes|let|lets) (?:the )?[\w ]{2,30}? (?:fall|rise|drop|climb|drift|spike|jump|fail|sink|stop|slip)\b",
    re.I,
)
_JUDGED = re.compile(  # what a detector does, and what a score does: evidence tells why
    r"\b(?:flag|flagged|flags|stands? out|stood out|anomal\w+|unusual|scor\w+|p-values?|listed?|ranked?|alarm|detector"
    r"|rejected|suspicious|odd|picked|raised|marked|return\w*|pass\w*|explained|calls?|kind|verdict|finding)\b",
    re.I,
)
_STANDS_ON = re.compile(
    r"\b(?:scores?|p-values?|share|region|interval|channel|feature|part|place|area|values?|readings?|observed|expected"
    r"|level|rare|unusual|deviat\w+|differ\w*|darker|lighter|higher|lower|samples?|normal|alpha|threshold|repair\w*|"
    r"tail|calibrat\w+|fit|evidence|runs?|map)\b",
    re.I,
)
_DENIED = re.compile(
    r"\b(?:not|never|no|nor|neither|cannot|unknown|unclear|whether|if|without|nothing|need not)\b|n['’]t\b", re.I
)
_SMALL = re.compile(
    r"that|this|with|from|were|been|which|than|then|there|here|have|their|very|into|onto|over|under|some|might|could"
    r"|would|should|also|only|just|more|most|less|being|between|about|after|before|during|while|when|where|what"
)
TOLD = ("note", "reason", "comment", "text", "source")  # fields in which people say things


_ACTORS = re.compile(
    r"\b(?:(?:an?|the|some) )?(?P<who>(?:operator|worker|technician|apprentice|employee|staff|someone|somebody"
    r"|person|people"
    r"|cyclist|pedestrian|driver|(?:night|day|early|late) shift|crew|customer|clerk|supplier|visitor|engineer|mechanic"
    r"|intruder|bicycle|car|truck|animal|dog|child|man|woman|accountant|manager|hacker|fraudster"
    r"|thief)s?)\b(?! who| should)",
    re.I,
)


_EVENTS = re.compile(
    r"\b(?P<who>lightning|thunderstorm|storm|earthquake|explosion|flood|power (?:cut|outage|failure)"
    r"|short circuit|sabotage"
    r"|leak(?:s|ed|ing)?|clogged|jammed|worn(?: out)?|wore out|loosened|came loose|misaligned|spill(?:s|ed)?"
    r"|mistyped|mistaken"
    r"|forgot(?:ten)?|tampered|stolen|stole|crash(?:ed)?|collid(?:ed|es)|slipped|tripped over|stumbled|burst"
    r"|melted|rust(?:ed|y)"
    r"|corroded|overheated|vandali[sz]ed|ran a red light|rode|drove|walked|dropped the|knocked over|bumped"
    r"|hacked|scratched|dented|damaged|scraped|left open|typing error"
    r"|human error|dirty lens|contaminat(?:ed|ion)|defective|faulty)\b",
    re.I,
)


def actor_problem(scene: Scene, pool: Pool, asked: str = "") -> str:
    """Somebody or something in the world that a sentence tells of and no evidence does: "A cyclist rode by"."""
    for match in (*_ACTORS.finditer(scene.text), *_EVENTS.finditer(scene.text)):
        who = match["who"].lower()
        if re.search(r"\b(?:confirm|label|dismiss|judged|review|mark|put down)", scene.text, re.I):
            continue
        if scene.text.endswith("?") or _UNSAID.search(scene.text) or pool.says(who) or who.rstrip("s") in asked:
            continue
        if any(who in str(known.fact.value).lower() for known in pool.texts) or who in pool.notes.lower():
            continue
        return f"no evidence speaks of '{match[0]}'"
    return ""


_UNSAID = re.compile(
    r"\b(?:not|no|cannot|never|unknown|unclear|whether|if|should|could|may|might|would|can)\b|n['’]t\b", re.I
)


def cause_problem(scene: Scene, pool: Pool, asked: str = "") -> str:
    """What a sentence gives as a cause and nothing supports; "" where it gives none, or one that is known."""
    for pattern, behind in ((_BEHIND, True), (_AHEAD, False)):
        for match in pattern.finditer(scene.text):
            before, after = scene.text[: match.start()], scene.text[match.end() :]
            effect, cause = (before, after) if behind else (after, before)
            if _DENIED.search(before) or _DENIED.match(after.lstrip()):
                continue
            cause = re.split(r"[;:]|, (?:which|so|and|but)\b|\. | and (?:is|was|are)\b", cause)[0 if behind else -1]
            if _is_judged(effect, match[0], scene) and _known(cause, scene, match, behind):
                continue
            if _told(cause, pool, asked) or (len(cause.strip(" .")) > 2 and pool.says(cause.strip(" .,"))):
                continue
            return f"no evidence supports '{' '.join(cause.split())[:60]}' as a cause"
    return ""


def _is_judged(effect: str, words: str, scene: Scene) -> bool:
    """Whether what is explained is that something was flagged, or a score, rather than something in the world."""
    return bool(_JUDGED.search(effect) or re.search(r"\breasons?\b", words, re.I)) or (
        not effect.strip(" ,") and bool(_JUDGED.search(scene.text))
    )


def _known(cause: str, scene: Scene, match: re.Match[str], behind: bool) -> bool:
    """Whether the cause is one of the things that evidence holds: a part, a place, a number, a score."""
    spans = [(one.start, one.end) for one in (*scene.parts, *scene.bases, *scene.fields)]
    spans += [(one.start, one.end) for one in scene.places] + [(one.start, one.end) for one in scene.numbers]
    near = [(start, end) for start, end in spans if (start >= match.end() if behind else end <= match.start())]
    return bool(near or _STANDS_ON.search(cause))


def _told(cause: str, pool: Pool, asked: str) -> bool:
    """Whether a note, a guide or the person speaks of the cause."""
    words = [word for word in re.findall(r"[a-z]{4,}", cause.lower()) if not _SMALL.fullmatch(word)][:6]
    notes = " ".join(str(known.fact.value) for known in pool.texts if known.fact.field in TOLD)
    said = f"{notes} {pool.notes} {asked}".lower()
    return bool(words) and sum(word in said for word in words) * 2 >= len(words)
