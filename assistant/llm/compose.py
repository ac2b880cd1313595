"""Questions that say by their build what they want: facts of one finding, the end of a ranking, a condition, the last
answer put differently, a correction of what was asked before.

Turns a reading, the conversation and the question before into an intent, or none. Knows how questions are built; not
tools, evidence or wording.
"""

from __future__ import annotations

import re

from assistant.llm.aspects import asked_of_one
from assistant.llm.dialogue import Memory
from assistant.llm.measures import bound, index_bound, left_out, superlative
from assistant.llm.naming import match_name, position_in, sides
from assistant.llm.spelling import distance
from assistant.llm.understand import Reading, connectives

# Intents that are recognised by how a question is built, not by likeness to examples.
BUILT = ("facts", "rank", "narrow", "term", "plain", "more", "backed_out", "refuse")
# Intents whose facts are those of one finding: a question that names its facts plainly is answered by these.
READ_OFF = frozenset(
    ["where", "when", "size", "expected", "blame", "sure", "kind", "differs", "spread", "overview", "worst", "list",
     "blame_run", "offtopic", "guide_p", "guide_score", "guide_alpha", "help", "why", "runs", "check", "similar"]
)  # fmt: skip
_RANKED = READ_OFF | {"compare", "compare_normal", "map", "future", "unclear", "trust", "nearest"}
FAIRLY, NEARLY = 0.45, 0.72  # how near an example must come to be heard before what the build of a question says
_PICTURES = ("image", "video")
_OF_A_REFERENT = re.compile(
    r"^\W*mark\b|\b(?:why|where|when|how|explain|describe|repair\w*|label|confirm|dismiss|compare|without)\b"
)
_WHICH = re.compile(r"\b(?:which|what|who|whose|name|show|give|tell|find|list|sort|rank|order|is|are|was|the)\b")
_PIECES = re.compile(r"\b(?:its|the two|both|two) (?:\w+ )?(?:spots?|regions?|marks?|places?|areas?|patches)\b")
_TERM = re.compile(r"\b(?:p|p-values?|alpha|scores?|maps?|methods?|threshold)\b")  # explained by a guide
_SHORTER = re.compile(
    r"\b(?:short(?:er)?|brief(?:er|ly)?|concise|condense\w*|nutshell|tl;?dr|(?:in )?(?:one|a|a single|two) sentences?|"
    r"bottom line|gist|less detail|fewer words|just the facts)\b"
)
_PLAINER = re.compile(
    r"\b(?:plain|plainly|simpl\w+|layman\w*|lay ?person\w*|non-?technical\w*|easy words|easier|everyday|"
    r"dumb it down|for dummies|like i am (?:five|xcount|\w+)|no jargon|without (?:the )?jargon|human words|"
    r"normal words|"
    r"understandable|in words)\b"
)
_LONGER = re.compile(
    r"\b(?:more details?|long(?:er)? version|in detail|elaborate|full story|everything about|more depth|expand)\b"
)
_CORRECTS = re.compile(
    r"^(?:(?:no|nope|nah|sorry|oops|argh|ah|oh|wait|hang on|hold on|wrong|not that|not it|not this|i meant?|my mistake|"
    r"my bad|correction|rather|instead|actually|make that|wrong one|that is wrong)\b[\s,.;:!-]*)+"
)
_NOT_THIS = re.compile(r"^(?:no\W+)?not (?:the )?[\w -]{1,24}?(?:,|;|\bbut\b|-)\s*(?:but |rather )?(?=\w)")
_ELLIPSIS = re.compile(
    r"^(?:(?:and|or|so|now|then|only|just|ok|what about|how about|with|for|of|in)\s+)*"
    r"(?:the|that|this|its) (?:\w+ )?(?:other|small\w*|tiny|big\w*|larg\w*|left|right|upper|lower|top|bottom|cent\w+|"
    r"middle|bright\w*|dark\w*|light\w*)(?: (?:left|right|one|spot|region|mark|area|place|stain|scratch|channel|"
    r"sensor))*"
    r"(?: (?:please|then|instead|too|only|i mean|i meant))*\W*$"
)


def composed(reading: Reading, memory: Memory, last: str, focus: str | None) -> str:
    """The intent that the build of a question tells, "" where it tells none; `last` is the intent before it."""
    words, topic = reading.plain, _topic(memory, focus)
    if (found := styled(reading)) and (found != "again" or last):
        return found
    if last in ("repaired", "without", "where", "size", "facts", "blame", "expected") and _ELLIPSIS.search(
        corrected(words)
    ):
        return last
    if _supposes(reading, topic, last):
        return (
            "without" if _LEFT_OUT.search(words) and ("xchannel" in reading.words or last == "without") else "repaired"
        )
    if last in ("repaired", "without") and _SWAP.search(words):
        return last
    if (
        last in ("repaired", "without", "facts", "blame", "size", "where")
        and _BOTH.search(words)
        and _pieces(memory, topic)
    ):
        return {"blame": "facts", "where": "facts"}.get(last, last)
    if _names_a_piece(reading, memory, topic, last):
        return "facts"
    if (named := term_asked(reading)) and (_MEANS.search(words) or (not topic and set(named) & _NO_THINGS)):
        return "term"
    if (topic or memory.shown) and _BESIDES.search(words):
        return "facts"
    if memory.modality == "table" and reading.mentions.times and topic:
        return "facts"
    if _LISTS.search(words) and not any(w in reading.words for w in ("xfinding", "xsample", "xordinal")):
        return "list"
    if "xchannel" in reading.words and _ONES.search(words) and not reading.mentions.findings:
        return "list"
    if not topic and _BEGAN.search(words):
        return "rank"
    if _LINES.search(words) and not (reading.mentions.findings or _TERM.search(words)):
        return "overview"
    if _ON_A_DAY.search(words):
        return last if last in ("list", "overview", "worst", "rank", "narrow") else "overview"
    if _OUTSIDE.search(words) and "xchannel" not in reading.words and not part_named(reading, memory):
        return "cause"
    if _goes_on_comparing(reading, memory, last):
        return last
    if _general(reading, topic):
        return "term"
    if _narrows(reading):
        return "narrow"
    if _ranks(reading, memory, topic):
        return "rank"
    if not _of_one(reading, memory, topic):
        return ""
    return "kind" if "kind" in asked_of_one(reading).aspects else "facts"


_TERMS = {
    "observed": r"observed",
    "expected": r"expected(?: value)?",
    "share": r"shares?(?: of the score)?",
    "region": r"regions?",
    "interval": r"intervals?",
    "map": r"(?:anomaly |heat)?maps?",
    "similarity": r"similarity",
    "score": r"(?:anomaly )?scores?",
    "median": r"median",
    "extrapolated": r"extrapolat\w+",
    "p_value": r"p(?:-values?| values?)?",
    "alpha": r"alpha|threshold",
    "false_alarm": r"false (?:alarms?|positives?)",
    "anomaly": r"anomal(?:y|ies)",
    "method": r"methods?",
    "counterfactual": r"counterfactuals?|normal version",
    "evidence": r"evidence(?: ids?)?|square brackets|e\d+",
    "run": r"runs?",
    "finding": r"findings?",
    "incident": r"incidents?",
    "grey_level": r"(?:mean )?gr[ea]y (?:levels?|values?)|mean level",
    "confidence": r"confidence",
    "drift": r"drift(?:ing)?",
}
_DEFINED = re.compile(
    r"(?:\bwhat (?:is |are |does |do )?(?:a |an |the |this |that |your |meant by |that word )*|\bdefine (?:a |"
    r"the )?|\b(?:explain|meaning of) "
    r"(?:the |a |me the )?(?:word |term |concept )?|\bwhat (?:a|an) )[\"']?(?P<term>{terms})[\"']?(?= mean\b|"
    r" stand\b| is\b| here\b|"
    r" in (?:plain|simple|one|this|other)\b| again\b| exactly\b| actually\b| good for\b| and\b| supposed\b|\W*$)"
)
_WHAT_IS = {name: re.compile(_DEFINED.pattern.replace("{terms}", ways)) for name, ways in _TERMS.items()}
_NO_THINGS = frozenset(  # words that mean no thing of the data: "what are the findings" asks for a list
    ["observed", "expected", "similarity", "median", "extrapolated", "counterfactual", "evidence", "grey_level",
     "drift", "confidence", "false_alarm"]
)  # fmt: skip
_SECOND = re.compile(r"\band (?:what )?(?:is )?(?:the )?[\"']?(?P<term>[a-z -]+?)[\"']?\W*$")
_MEANS = re.compile(r"\bmean|\bdefine|\bword\b|\bterm\b|\bconcept\b|\bin general\b|\bwhat is an?\b|\bstand for\b")
_GENERAL = re.compile(
    r"\b(?:do|can|are|will|would|did) you (?:ever |always |only |also |really |just )*(?!(?:see|find|tell|show|say|"
    r"think|mean|"
    r"explain|list|mark|label|repair|confirm|compare|write|send|give|know|help|please|summ\w+|do|sure|certain|able|"
    r"done|catch|detect)\b)\w+"
    r"|\bhow (?:do|did|can) you (?:know|decide|work|score|tell|learn|judge|find|compute|measure|flag|detect)\b"
    r"|\bwhy do you\b|\b(?:another|other|different|one|each|any|every) models?\b|\bin general\b|\bin principle\b|"
    r"\bnow and then\b"
)


def term_asked(reading: Reading) -> tuple[str, ...]:
    """The words of the answers that a question wants explained."""
    words = re.sub(r"[\"“”]", "", reading.plain)
    found = [name for name, pattern in _WHAT_IS.items() if pattern.search(words)]
    if found and (more := _SECOND.search(words)):
        found += [
            name for name, ways in _TERMS.items() if re.fullmatch(ways, more["term"].strip()) and name not in found
        ]
    return tuple(found)


def _general(reading: Reading, topic: str) -> bool:
    """Whether a question is about how the model works at all rather than about a finding."""
    named = any(word.startswith("x") for word in reading.words)
    if (
        named
        or "how many" in reading.plain
        or not _GENERAL.search(reading.plain)
        or (reading.intent == "help" and reading.score > FAIRLY)
    ):
        return False
    return not (topic and re.search(r"\b(?:it|this|that|its)\b", reading.plain)) and reading.score < NEARLY


_BOTH = re.compile(
    r"^(?:and |so |or |what about |how about |if )*(?:for |with )?(?:both|the two|all)(?: (?:of them|together|"
    r"at once|combined|"
    r"in one go|at the same time|spots|regions|channels|sensors|fields))*\W*$"
)


_SUPPOSES = re.compile(
    r"\b(?:say|suppose|supposing|assume|assuming|imagine|pretend|what if|if|had|were|let us say|provided|even|once|"
    r"when|after)\b"
)
_AS_NORMAL = re.compile(
    r"\b(?:never|not (?:been )?there|was not|were not|had not|weren't|gone|removed|taken (?:out|away)|away|absent|"
    r"normal|ok|fine|usual|expected|healthy|repair\w*|fixed|fix|cleaned|clean|corrected|correct|polish\w*|mended|"
    r"reworked|"
    r"replaced|sorted out|put right|made good|touched up|restored|painted over|patched|undamaged|intact|spotless)\b"
)
_PASSES = re.compile(
    r"\b(?:pass\w*|flag\w*|ok|fine|bad|still|enough|good|fail\w*|event|finding|reject\w*|survive\w*|through|then|"
    r"normal|p)\b"
)
_LEFT_OUT = re.compile(r"\b(?:never|not there|gone|removed|away|absent|left out|taken out|excluded|ignored)\b")
_TAKEN_FOR = frozenset(["alpha", "method", "future", "money", "incident", "label_normal", "label_anomaly"])


def _supposes(reading: Reading, topic: str, last: str) -> bool:
    """A supposition that something were normal or not there, and what would come of it."""
    words, seen = reading.plain, reading.mentions
    if not (topic or seen.findings or seen.samples or seen.places) or seen.levels or seen.methods:
        return False
    if (reading.intent in _TAKEN_FOR and reading.score > FAIRLY) or reading.intent in ("repaired", "without"):
        return False
    if last in ("repaired", "without") and re.match(r"(?:and |or |so |but )*(?:what )?(?:if|had)\b", words):
        return True
    return bool(
        _SUPPOSES.search(words) and _AS_NORMAL.search(words) and _PASSES.search(words) and _CONDITIONAL.search(words)
    )


_IF = re.compile(r"\b(?:if|would|had it|suppose|imagine)\b")
_CONDITIONAL = re.compile(r"\b(?:would|will|does|is it|it is|still|if|say|suppose|imagine|pretend|assume|then)\b")


def _pieces(memory: Memory, topic: str) -> bool:
    """Whether the topic has several places or parts that "both" may mean."""
    return not memory.shown_last and max(len(memory.regions.get(topic, ())), len(memory.parts.get(topic, ()))) > 1


_BESIDES = re.compile(
    r"\b(?:anything|something|what|any \w+) (?:else )?(?:besides|apart from|other than|in addition to)\b"
)
_NOUNS = (
    r"(?:rejects|findings|events|rows|ones|alarms|hits|anomalies|defects|payments|failures|outliers|suspects|cases)"
)
_LISTS = re.compile(
    rf"^\W*(?:please |ok |now |and |can you |could you )*(?:give|show|list|name|print|display|get|read out)(?: me|"
    rf" us)?(?: all| the| every| just|"
    rf" only| those| these)*(?: \w+(?:'s)?){{0,3}} {_NOUNS}\b(?! (?:that|why|where|when|how))(?! of f\d)"
)
_ONES = re.compile(
    r"^(?:and |only |just |now |show |list |give |me |the |those |all |with |"
    r"about )*(?:the )?[\w ]{2,24} ones\b(?: (?:only|please|then|too))*\W*$"
)
_BEGAN = re.compile(
    r"\bwhen did (?:the (?:trouble|problems?|fun|mess|first)|it all|things|all this|this all)\b|\bwhat (?:went|was|"
    r"came|happened|started|broke) first\b"
    r"|\bwhen did (?:it|things) (?:first )?(?:start|begin) (?:to go|going) wrong\b"
)
_LINES = re.compile(
    r"\b(?:one|two|three|a|a few|couple of|some|xcount) (?:short )?(?:sentences?|lines?|words) (?:for|on|to)\b"
)
_ON_A_DAY = re.compile(
    r"^(?:and |also |or |what about |how about |same )*(?:on |for |the )?(?:(?:mon|tues|wednes|thurs|fri|satur|"
    r"sun)day|yesterday|the day before)"
    r"(?:'s)?(?: too| as well| then| also| run| one)*\W*$"
)
_OUTSIDE = re.compile(
    r"\bsame (?:tool|cause|reason|origin|machine|operator|source|root|culprit)\b|\b(?:play|plays|played|have|has|"
    r"had) (?:a|any) (?:role|"
    r"influence|effect)\b|\b(?:due to|because of|caused by|blame it on|down to|fault of) (?:the |a |an |"
    r"our )?(?!what|which|that|this|these|those|field|channel|feature|sensor|column|one)[a-z]{3,}\b"
    r"|^(?:so |and |or |then |but |maybe )*(?:could|might|may|can|is|was) (?:it |that |this |f\d+ )?(?:be |just |"
    r"have been |really )*"
    r"(?:a|an|the) (?:\w+ )?(?:valve|pump|motor|bearing|belt|lens|camera|leak|operator|filter|seal|gasket|nozzle|"
    r"tool|sensor fault|fuse|cable|"
    r"software bug|power cut|hacker|thief|storm|draught|worker|trainee|supplier|material|batch of \w+)\b"
)


def part_named(reading: Reading, memory: Memory) -> bool:
    """Whether a question names a channel or feature that the conversation has met."""
    return any(match_name(reading, names) is not None for names in memory.parts.values())


def _names_a_piece(reading: Reading, memory: Memory, topic: str, last: str) -> bool:
    """ "And the oil presure?" of a finding that has that channel, also misspelt."""
    name = match_name(reading, memory.parts.get(topic, []))
    if name is None or last in ("repaired", "without", "compare") or memory.shown_last:
        return False
    own = [re.sub(r"\W", "", word) for word in name.lower().split()]
    rest = set(reading.words) - connectives() - {"?", "xchannel", "was", "there", "too", "also"}
    return len(reading.words) <= 6 and all(any(distance(word, part) <= 2 for part in own) for word in rest)


def _goes_on_comparing(reading: Reading, memory: Memory, last: str) -> bool:
    """ "By how many px?" after two were compared: the same two again, by what is named now."""
    if last not in ("compare", "runs", "compare_normal") or any(
        word.startswith("x") and word not in _NUMBERS for word in reading.words
    ):
        return False
    if reading.score > NEARLY or (_ONE.search(reading.plain) and "which of" not in reading.plain):
        return False
    asked = asked_of_one(reading, tuple(name for owned in memory.parts.values() for name in owned))
    return bool({"reading", "size", "time", "p", "score", "share"} & set(asked.aspects)) and len(asked.unexplained) <= 1


_RELATIVE = re.compile(r"\b(?:percent\w*|relative|units?|times|factor)\b|%")
_NUMBERS = ("xcount", "xlevel")
_ONE = re.compile(r"\b(?:both|each|they|them|it|its)\b")
_SWAP = re.compile(
    r"\b(?:other way (?:a?round)|vice versa|the reverse|the opposite|conversely|swap(?:ped)?|other one)\b"
)


def styled(reading: Reading) -> str:
    """ "again" where the last answer is wanted shorter, "plain" in plain words, "more" with all that is known."""
    words, few = reading.plain, len(reading.words) <= 8
    if reading.intent in ("incident", "help") or _TERM.search(words):
        return ""
    if _PLAINER.search(words) and (few or reading.mentions.findings):
        return "plain"
    named = any(word.startswith("x") for word in reading.words)
    if (
        _SHORTER.search(words)
        and few
        and not named
        and not re.search(r"\b(?:how|which|what|is|was|event|lasted)\b", words)
    ):
        return "again"
    return "more" if _LONGER.search(words) and len(reading.words) <= 6 and not named else ""


def corrected(text: str) -> str:
    """The text without the words by which it takes back what was said: "no, not the big one, the small one"."""
    plain = _CORRECTS.sub("", text)
    return _NOT_THIS.sub("", plain) or text


def corrects(text: str) -> bool:
    """Whether a folded text takes back what was said before."""
    return bool(_CORRECTS.search(text) or _NOT_THIS.search(text))


def _topic(memory: Memory, focus: str | None) -> str:
    only = memory.shown[0] if len(memory.shown) == 1 else ""
    return focus or (memory.topics[-1] if memory.topics else only)


def _narrows(reading: Reading) -> bool:
    """A condition on a list that no filter of the tools knows: a bound on a score or a length, or what is left out."""
    words = reading.plain
    plural = re.search(r"\b(?:which|ones|those|any|all|list|show|how many|findings|events|only|anything)\b", words)
    found = index_bound(words) or bound(words)
    if not plural or reading.mentions.findings or (reading.mentions.samples and index_bound(words) is None):
        return False
    if found is not None:
        return True
    return bool((position_in(left_out(words)) and reading.score < NEARLY) or sides(words))


def _ranks(reading: Reading, memory: Memory, topic: str) -> bool:
    """The end of a ranking by what was measured; the most anomalous one has a script of its own."""
    measure, words = superlative(reading.plain), reading.plain
    if measure is None or reading.mentions.findings or reading.mentions.samples or _OF_A_REFERENT.search(words):
        return False
    if _PIECES.search(words) or not _WHICH.search(words) or (measure.name == "p_value" and not measure.most):
        return False
    if measure.name in ("size", "level") and memory.modality and memory.modality not in _PICTURES:
        return False
    if "xchannel" in reading.words or match_name(reading, memory.parts.get(topic, [])):
        return False
    return reading.intent in _RANKED or reading.score < FAIRLY


def _of_one(reading: Reading, memory: Memory, topic: str) -> bool:
    """Whether a question is explained to its last word as one about the facts of a finding that is spoken of."""
    seen, words = reading.mentions, set(reading.words)
    named = bool(seen.findings or seen.samples or seen.places)
    if not (named or topic.startswith("F")) or len(seen.findings) > 1:
        return False
    part = "xchannel" in words or match_name(reading, memory.parts.get(topic, [])) is not None
    read_off = READ_OFF | ({"compare_normal"} if part or _RELATIVE.search(reading.plain) else set())
    if reading.score > (NEARLY if reading.intent in read_off else FAIRLY) or seen.levels or seen.runs or seen.count:
        return False
    if not named and memory.shown_last and len(memory.shown) > 1 and not words & {"it", "its", "this", "that"}:
        return False
    if "same" in words or _IF.search(reading.plain):
        return False
    names = tuple(name for owned in memory.parts.values() for name in owned)
    return asked_of_one(reading, names).whole
