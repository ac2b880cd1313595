"""What the current question asks, given the conversation: its intent after ellipsis, form and context are weighed.

Turns a `Reading` and a `Memory` into an `Ask`. Knows intents and how people shorten follow-up questions; not tools,
evidence or answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.llm.aspects import asked_of_one
from assistant.llm.clauses import clauses, heard
from assistant.llm.compose import composed, corrects
from assistant.llm.declined import declined
from assistant.llm.dialogue import Memory, Turn, channel_names
from assistant.llm.form import PLAINLY, by_form
from assistant.llm.naming import match_name, position_in
from assistant.llm.places import drawn
from assistant.llm.pointing import region_meant
from assistant.llm.speech import STILL, by_phrase
from assistant.llm.teaching import lesson
from assistant.llm.understand import Reading, connectives, fold, intents, understand

# No intent is near enough below these scores: as a rule, where all words are known, and where they are of another
# language, whose word pairs no example has.
UNSURE, HARDLY, ABROAD = 0.27, 0.22, 0.15
# Below TORN and with the next reading nearer than APART, the nearest intent is right less than half of the time
# (leave-one-out over the examples): the answer asks back.
TORN, APART = 0.3, 0.1
ABOUT_FINDING = (
    "why", "where", "when", "size", "map", "expected", "similar", "compare_normal", "repaired", "without", "blame",
    "sure", "check", "method", "kind", "differs", "trust", "spread", "nearest", "facts",
)  # fmt: skip
WITHOUT_TOOLS = frozenset(
    ["who", "motive", "act", "future", "money", "advice", "cause", "offtopic", "thanks", "hello", "bye"]
)
_TOLD_BOTH = frozenset([*ABOUT_FINDING, "overview", "worst", "blame_run", "compare"]) - {
    "method",
    "repaired",
    "without",
}
_PAIR = re.compile(r"\b(?:these|those|the) two\b|\bboth\b|\beach other\b")
_ITS_VALUE = re.compile(
    r"^(?:and )?(?:what is )?the (?:p-value|score)\W*$|\bits\b|\b(?:it|this|that) ha(?:ve|s)\b"
    r"|\b(?:give|tell|show) (?:me )?(?:the|its)\b"
)
_VERBS = ("is", "was", "are", "were", "do", "does", "did", "has", "have")
_WHICH_ARE_THEY = re.compile(
    r"^(?:and |so |ok )*(?:which|what|who|name|list|show)(?: me)?(?: ones?| them| those| these| is it| are (?:they|"
    r"those|these|left))?"
    r"(?: (?:would|will|do|does)? ?(?:be|are|is|remain\w*|stay\w*|survive\w*|left|that|those|they))*\W*$"
)
_SUPPOSING = ("repaired", "without", "method")
_THEN = re.compile(r"\b(?:then|after (?:that|this|it)|afterwards)\b")
_WHICH_OF_TWO = re.compile(
    r"\bwhich (?:one )?(?:of (?:them|those|these|the two|both) )?is (?:the )?(?:\w{3,}er|worse|better|more \w+)\b"
)
_OF_THESE = re.compile(
    r"\b(?:any|some|which|all|how many) of (?:these|those|them|the (?:findings|events|rows|alarms))\b"
)
_ONE_OF_A_DAY = re.compile(r"\bxtime (?:one|event|thing|alarm|incident|episode|blip)\b")
_CARRIED = frozenset(["score", "p_value"])  # what "and of the other one?" still asks for
_ANOTHER = re.compile(
    r"^(?:and |or |what about |how about )*(?:of |for |with |in )?"
    r"the (?:previous|other|next|former|latter)(?: (?:one|finding|part|event))?\W*$"
)
_TAKEN_BACK = frozenset(
    [
        "no",
        "nope",
        "sorry",
        "oops",
        "argh",
        "wait",
        "hang",
        "hold",
        "wrong",
        "not",
        "i",
        "mean",
        "meant",
        "actually",
        "rather",
        "instead",
    ]
)


@dataclass(frozen=True)
class Ask:
    """What is asked: an intent and the question that it was read from."""

    intent: str
    reading: Reading
    shortened: bool = False  # taken over from the question before ("and F4?")
    between: tuple[str, ...] = ()  # the two readings that are as likely as each other, where it is unclear
    before: str = ""  # the intent of the question before, where this one may agree to what that one showed
    about: tuple[str, ...] = ()  # the facts of one finding that are asked for
    also: str = ""  # the other reading, where both are as likely and both are answered
    brief: bool = False  # the same again, in fewer sentences


def remembered(turns: Sequence[Turn]) -> list[Memory]:
    """What was known before each turn, and last after them all: results, and the channel or region that was named."""
    memory, found = Memory(), []
    for turn in turns:
        found.append(memory.copy())
        memory.after(turn)
        name_spoken(memory, understand(turn.question, channel_names(memory)))
    return [*found, memory]


def name_spoken(memory: Memory, reading: Reading) -> None:
    """Remember the channel, feature or region of the topic that a question named."""
    if not memory.topics and (reading.mentions.samples or reading.mentions.bare):
        memory.topic(f"sample {(reading.mentions.samples or reading.mentions.bare)[0]}")
    topic = memory.topics[-1] if memory.topics else ""
    memory.part = match_name(reading, memory.parts.get(topic, [])) or memory.part
    regions = memory.regions.get(topic, [])
    memory.region = region_meant(reading, regions, memory.areas.get(topic, {}), memory.region) or memory.region


def asked_before(turns: Sequence[Turn], memories: Sequence[Memory]) -> Ask | None:
    """What was asked last in some turns; `memories[i]` is what was known before `turns[i]`."""
    previous: Ask | None = None
    for i, (turn, memory) in enumerate(zip(turns, memories, strict=False)):
        for clause in clauses(turn.question):
            previous = interpret(
                heard(clause, channel_names(memory)), memory, previous, turn.focus, asked_back(turns[:i])
            )
    return previous


def interpret(
    reading: Reading, memory: Memory, previous: Ask | None, focus: str | None = None, answers: bool = False
) -> Ask:
    """The intent of one question after the one before it; `answers`: that one was answered by "which one?"."""
    if drawn(reading.text):
        return Ask("place", reading)
    before = previous.intent if previous else ""
    if refused := declined(reading.plain, before):
        return Ask(refused, reading)
    if taught := lesson(reading.text, before):
        return Ask(taught.intent, reading, before=before)
    if previous and previous.between and (chosen := _chosen(reading, previous)):
        return chosen
    reading = weigh(_places_again(reading, previous, memory), memory, previous, focus)
    if phrased := by_phrase(reading, memory, before, focus, answers and before in ABOUT_FINDING):
        return Ask(phrased, reading)
    if previous and previous.intent in _SUPPOSING and not reading.mentions.findings and STILL.search(reading.plain):
        return Ask(previous.intent, previous.reading)
    if shortened := _shortened(reading, previous, memory, answers):
        kept = previous.reading.concepts & _CARRIED if previous else frozenset()
        about = previous.about if previous else ()
        return Ask(shortened, replace(reading, concepts=reading.concepts | kept), shortened=True, about=about)
    intent = by_form(reading, _by_names(reading, reading.intent, memory, focus))
    pair = bool(memory.pair and set(memory.pair) == set(memory.topics[-2:]))
    if (pair or before == "compare") and _WHICH_OF_TWO.search(reading.plain):
        return Ask("compare", reading)
    if before == "alpha" and previous and _WHICH_ARE_THEY.search(reading.plain):
        levels = previous.reading.mentions.levels
        return Ask("list", replace(reading, mentions=replace(reading.mentions, levels=levels)))
    if intent == "size" and memory.modality == "table" and memory.topics:
        return Ask("facts", reading, about=("reading",))  # a row has no extent: its values are meant
    if built := composed(reading, memory, before, focus):
        if built == "again" and previous:
            return replace(previous, brief=True)
        about = asked_of_one(reading).aspects
        if built == before == "facts" and not about and previous:
            about = previous.about
        if {"p", "alpha", "score", "share"} & set(about) and "xchannel" not in reading.words:
            about = tuple(one for one in about if one != "reading")
        return Ask(built, reading, about=about)
    if previous and previous.intent in _SUPPOSING and intent in ("sure", "guide_p") and _THEN.search(reading.plain):
        intent = previous.intent  # "what is the p-value then?"
    known = HARDLY if reading.language == "English" else ABROAD
    if not reading.words or (reading.score < (known if reading.known > 0.8 else UNSURE) and intent == reading.intent):
        intent = _unsure(reading)
    elif intent == "help" and _torn(reading) and (focus or memory.topics):
        intent = "why"  # "what is this" beside a finding
    elif intent == reading.intent and _torn(reading):
        if (focus or memory.topics) and {name for name, _ in reading.scores[:2]} <= _TOLD_BOTH:
            return Ask(intent, reading, also=reading.scores[1][0])
        return Ask("unclear", reading, between=(reading.scores[0][0], reading.scores[1][0]))
    return Ask(intent, reading)


# What the conversation makes likelier, in units of the score (1 = an example word by word). A channel that is named
# where a finding is spoken of asks about that finding; after a value was told, one asks for the normal one, and so on.
_OF_A_PART = {"blame": 0.15, "expected": 0.1, "repaired": 0.1, "without": 0.1, "overview": -0.3, "worst": -0.2,
              "blame_run": -0.1, "check": -0.2, "offtopic": -0.2}  # fmt: skip
_OF_A_FINDING = {"help": -0.3, "overview": -0.1, "worst": -0.05, "blame_run": -0.05, "check": -0.15, "offtopic": -0.1}
_OF_NOTHING = {"overview": 0.05, "list": 0.05, "worst": 0.05}
_FOLLOWS = {
    "blame": ("expected", "repaired", "without", "sure"),
    "why": ("where", "sure", "expected", "blame", "similar", "repaired", "kind"),
    "expected": ("repaired", "sure", "without"),
    "where": ("size", "map", "repaired", "kind"),
    "when": ("size", "blame", "sure"),
    "similar": ("compare", "label_normal", "label_anomaly"),
    "repaired": ("repaired", "without", "sure", "label_normal", "label_anomaly"),
    "without": ("without", "repaired", "sure"),
    "overview": ("worst", "list", "why", "share"),
    "worst": ("why", "where", "when", "blame", "similar"),
    "list": ("why", "compare", "list", "worst"),
    "sure": ("similar", "label_normal", "label_anomaly", "trust", "method", "guide_p", "guide_score"),
    "alpha": ("alpha", "guide_alpha"),
}
_FOLLOWING = 0.05
_MANY = re.compile(
    r"\b(?:ones|them|those|these|they|all|any|findings|anomalies|events|parts|rows|images|payments|defects|alarms|list|"
    r"others?|else|more|rest|everything|anything|each|every|rank|sort|order|first|last|\d+|"
    r"which (?!\w+ (?:was|is|did)))\b"
)


def weigh(reading: Reading, memory: Memory, previous: Ask | None, focus: str | None) -> Reading:
    """The reading with its scores weighed by what the conversation is about."""
    seen, change = reading.mentions, dict.fromkeys(intents(), 0.0)
    named = bool(seen.findings or seen.samples or seen.runs or seen.incidents or seen.places)
    topic = focus or (memory.topics[-1] if memory.topics else "")
    if topic and not named and not memory.shown_last:
        parts = memory.parts.get(topic, [])
        part = bool(parts) and match_name(reading, parts) is not None
        for name, extra in (_OF_A_PART if part or _asks_a_value(reading, memory, topic) else _OF_A_FINDING).items():
            change[name] += extra
        if not _MANY.search(reading.plain):
            change["list"] -= 0.15
        if topic.startswith("sample "):
            change["check"] = 0.05
    elif not topic and not memory.shown and not named:
        for name, extra in _OF_NOTHING.items():
            change[name] += extra
    for name in _FOLLOWS.get(previous.intent, ()) if previous else ():
        if name in change:
            change[name] += _FOLLOWING
    scores = sorted(((name, score + change[name]) for name, score in reading.scores), key=lambda one: -one[1])
    return replace(reading, scores=tuple(scores))


def _asks_a_value(reading: Reading, memory: Memory, topic: str) -> bool:
    """Whether a unit of the finding's values is named: "how many mm/s did it hit?"."""
    units = [fold(unit) for unit in memory.units.get(topic, ()) if len(unit) > 1 and unit not in ("px", "ms")]
    return any(re.search(rf"(?<!\w){re.escape(unit)}(?!\w)", fold(reading.text)) for unit in units)


def _torn(reading: Reading) -> bool:
    """Whether two readings are about as likely, and neither is likely."""
    return reading.language == "English" and reading.score < TORN and reading.score - reading.scores[1][1] < APART


def _chosen(reading: Reading, previous: Ask) -> Ask | None:
    """The reading that a person picks after "do you mean one or the other?", None for a new question."""
    places = [*reading.mentions.places, *(1 for word in reading.words if word in ("former", "yes", "yeah", "yep"))]
    places += [2 for word in reading.words if word == "latter"]
    if places and len(reading.words) <= 4 and places[0] in (1, 2):
        return Ask(previous.between[places[0] - 1], previous.reading)
    near = next((name for name, _ in reading.scores[:3] if name in previous.between), None)
    return Ask(near, previous.reading) if near and reading.score < PLAINLY and len(reading.words) <= 6 else None


def asked_back(turns: Sequence[Turn]) -> bool:
    """Whether the last answer asked which one was meant."""
    answer = turns[-1].answer if turns else ""
    return bool(re.search(r"\bWhich (?:one|finding|of|channel|part|sample)\b.*\?", answer))


def _names_a_part(reading: Reading, memory: Memory) -> bool:
    """Whether a short follow-up names a channel or feature of what is spoken of, and nothing else: "now the hour"."""
    topic = memory.topics[-1] if memory.topics else ""
    name = match_name(reading, memory.parts.get(topic, []))
    spelled = set(fold(name or "").replace("_", " ").split())
    return name is not None and not set(reading.words) - connectives() - spelled - {"instead", "?"}


def _places_again(reading: Reading, previous: Ask | None, memory: Memory) -> Reading:
    """ "and without the first?" after "without the second spot?": a place among spots or channels, as it was before."""
    seen = reading.mentions
    if previous is None or memory.shown_last or not seen.places or seen.region_places or seen.channel_places:
        return reading
    before = previous.reading.mentions
    if before.regions or before.region_places:
        moved, word = replace(seen, places=[], region_places=seen.places), "xregion"
    elif before.channel_places:
        moved, word = replace(seen, places=[], channel_places=seen.places), "xchannel"
    else:
        return reading
    return replace(reading, mentions=moved, words=tuple(word if w == "xordinal" else w for w in reading.words))


def _shortened(reading: Reading, previous: Ask | None, memory: Memory, answers: bool) -> str:
    """The intent of a follow-up that names only what is new ("and the second one?"), "" for a full question."""
    named = [word for word in reading.words if word.startswith("x")]
    ties = connectives() | (_TAKEN_BACK if corrects(reading.plain) else frozenset())
    rest = [word for word in reading.words if not word.startswith("x") and word != "?" and word not in ties]
    if previous and previous.intent in ("repaired", "without") and _names_a_part(reading, memory):
        return previous.intent
    if previous and _ANOTHER.search(reading.plain):
        return previous.intent if previous.intent in ABOUT_FINDING else "why"
    if not named or rest or len(reading.words) > len(named) + 5 or reading.words[0] in _VERBS:
        return ""
    last = previous.intent if previous else ""
    if "xevidence" in named:
        return "source"
    if "xmethod" in named:
        return "method"
    if "xlevel" in named:
        return "alpha" if last != "list" else "list"
    if "xrun" in named:
        return "overview"
    if "xchannel" in named:
        return last if last in ("without", "repaired") else "blame"
    if "xregion" in named:
        return last if last in ("repaired", "where", "size") else "where"
    if intents().get(last, {}).get("changes"):
        again = answers or corrects(reading.plain) or {"too", "also", "same"}.intersection(reading.words)
        return last if again else "why"
    if named == ["xsample"] and last in ("where", "when", "size", "sure"):
        return "why"  # it may not have been flagged at all; all of these are told with it
    if last == "compare" or last in ABOUT_FINDING:
        return last
    return "check" if named == ["xsample"] and last not in ("worst", "list", "overview") else "why"


def _by_names(reading: Reading, intent: str, memory: Memory, focus: str | None) -> str:
    """Correct the nearest intent by what the question names."""
    findings, samples = reading.mentions.findings, reading.mentions.samples
    things = len(findings) + len(samples)
    if things >= 2 and (intent in ("similar", "compare_normal", "worst") or "compare" in reading.concepts):
        return intent if intents()[intent].get("changes") else "compare"
    if things == 1 and memory.pair and re.search(r"\b(?:former|latter)\b", reading.plain):
        return "compare"
    if things == 1 and intent == "similar" and _points_at_another(reading, memory, focus):
        return "compare"
    if intent == "similar" and not things and _PAIR.search(reading.plain):
        return "compare"
    if intent in ("alpha", "overview") and not things and not reading.mentions.levels and (
        " " in (position_in(reading.plain) or "")
    ):  # fmt: skip
        return "list"
    if intent == "who" and {"channel", "score"} & reading.concepts:
        intent = "blame"
    if intent == "worst" and "channel" in reading.concepts and not things:
        intent = "blame" if focus or (memory.topics and not memory.shown_last) else "blame_run"
    pointed_at = bool(things or focus or (memory.topics and memory.topics[-1].startswith("F")))
    if intent in ("guide_p", "guide_score") and pointed_at and _ITS_VALUE.search(reading.plain):
        return "sure"
    if "xchannel" in reading.words and not things and _OF_THESE.search(reading.plain) and intent in ("blame", "why"):
        return "list"
    if intent in ("overview", "list") and reading.mentions.day and _ONE_OF_A_DAY.search(" ".join(reading.words)):
        return "why"
    if len(samples) > 1 and intent in ("overview", "list", "worst", "sure", "why") and reading.words[:1] != ("why",):
        return "check"
    if intent == "overview" and (things or reading.mentions.places):
        return "check" if samples else "why"
    if intent == "overview" and _asks_a_value(reading, memory, focus or (memory.topics or [""])[-1]):
        return "blame"
    if intent == "worst" and reading.words[:1] == ("why",):
        return "why"
    if intent in ("worst", "blame_run") and findings:
        return "why" if intent == "worst" else "blame"
    if intent == "check" and findings and not samples:
        return "sure"
    if intent == "sure" and samples:
        return "check"
    if intent in ("why", "check", "sure") and reading.mentions.runs and not things:
        return "overview"
    pointed = findings or re.search(r"\b(?:former|latter|of it|its|of (?:this|that) one)\b", reading.plain)
    if intent.startswith("guide_") and pointed:
        return {"guide_p": "sure", "guide_score": "sure", "guide_map": "map"}.get(intent, intent)
    if intent == "blame" and not (things or memory.topics or focus or memory.shown_last):
        return "blame_run"
    return intent


def _points_at_another(reading: Reading, memory: Memory, focus: str | None) -> bool:
    """Whether "it" of "is it similar to F4?" is another finding than the one that is named."""
    named = (reading.mentions.findings or [""])[0]
    others = [name for name in (*memory.topics, focus or "") if name and name != named]
    return bool({"it", "this", "that"}.intersection(reading.words)) and bool(others)


def _unsure(reading: Reading) -> str:
    """What to make of a question that is near to nothing."""
    if not reading.language and not any(word.startswith("x") for word in reading.words):
        return "unclear"
    if reading.mentions.findings or reading.mentions.places:
        return "why"
    if reading.mentions.samples:
        return "check"
    return "unclear"
