"""Talks over a made-up store as a good language model would: question, tool calls, results, answer by reference.

`dialogue(rng)` gives messages in the form that chat templates take. The tools are those of `made_stores`, the words
those of `phrases.yaml`, what is answered stands in `answers`. Knows no tokens and no models.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from assistant import prompts
from assistant.evals.made_findings import Batch, Case
from assistant.evals.made_stores import METHODS, MadeStore
from assistant.evals.tiny import answers, worlds
from assistant.evidence import Evidence, ToolResult, render, subjects_of
from assistant.verify import Verifier

Message = dict[str, Any]
_CHOICE = re.compile(r"\(([^()]*)\)")
_SPOILT = 0.08  # share of conversations with a draft that was sent back
_SHOWN_TURNS = 3  # questions whose results a model sees in full, as the loop has it
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_PERCENTS = {0.001: "0.1", 0.002: "0.2", 0.005: "0.5", 0.01: "1", 0.02: "2", 0.05: "5", 0.1: "10", 0.03: "3"}
_COUNTS = {2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass
class Turn:
    """One question with all that came of it."""

    question: str
    calls: list[tuple[str, dict[str, Any], Evidence]] = field(default_factory=list)
    answer: str = ""  # as a model writes it, with references
    shown: str = ""  # as the reader and a later prompt see it


@cache
def phrases() -> dict[str, list[str]]:
    """The patterns of questions by what is asked."""
    return dict(yaml.safe_load(Path(__file__).with_name("phrases.yaml").read_text(encoding="utf-8")))


def spell(pattern: str, rng: random.Random) -> str:
    """One of the texts that a pattern stands for: "(a|b) {x}" gives "a {x}" or "b {x}"."""
    while match := _CHOICE.search(pattern):
        pattern = pattern[: match.start()] + rng.choice(match[1].split("|")) + pattern[match.end() :]
    return pattern


_FINDING = (
    r"(?:f\d+|finding f?\d+|(?:row|line)(?: number)? \d+|[^\W\d]+[ _-]?\d+(?:\.\w+)?|it|this|that|this one|that one|"
    r"this finding|the (?:first|second|third|fourth|fifth|last)(?: one| finding)?)"
)


@cache
def _spelled() -> re.Pattern[str]:
    """All that the patterns can spell, whatever names stand in their slots."""
    patterns = [one for group in phrases().values() for one in group]
    parts = ["".join(p if p in "()|" else re.escape(p) for p in re.split(r"([()|])", one)) for one in patterns]
    filled = [re.sub(r"\\\{(\w+)\\\}", lambda m: _FINDING if m[1] in "xy" else r"[\w.% -]{1,24}", one) for one in parts]
    return re.compile("|".join(f"(?:{one})" for one in filled), re.I)


def taught(question: str) -> bool:
    """Whether a question can be spelled by the patterns, so that a model may have been trained on its very words."""
    plain = question.strip().lower()
    return any(_spelled().fullmatch(one) for one in (plain, plain.rstrip("?!. "), plain.rstrip("?!. ") + "?"))


class Talk:
    """One conversation; `turn()` goes on with another question."""

    def __init__(self, rng: random.Random, store: MadeStore) -> None:
        self.rng, self.store = rng, store
        self.turns: list[Turn] = []
        self.evidence: dict[str, Evidence] = {}
        self.verifier = Verifier()
        self.before = rng.choice((0, rng.randint(0, 40)))  # results of earlier conversations
        self.recent: list[str] = []  # findings talked about, the latest last
        self.listed: list[str] = []  # findings of the list that was shown last
        self.tried: str = ""  # what the last question varied: "alpha", a kind of repair
        self.sample: str = ""  # a normal sample that was asked about last
        self.focus = rng.choice(list(store.cases)) if store.cases and rng.random() < 0.25 else None

    # --- what is there ---------------------------------------------------------------------------------------------

    @property
    def batch(self) -> Batch:
        return self.store.latest

    @property
    def current(self) -> str | None:
        """The finding that "it" means."""
        return self.focus or (self.recent[-1] if self.recent else None)

    def call(self, tool: str, **arguments: Any) -> Evidence:
        """Make a call; its evidence goes into the turn."""
        try:
            found = getattr(self.store, tool)(**arguments)
        except KeyError as error:
            found = ToolResult(status="error", note=str(error.args[0]))
        name = f"E{self.before + len(self.evidence) + 1}"
        made = Evidence(name, tool, arguments, found.status, found.facts, subjects_of(found.facts), note=found.note)
        self.evidence[name] = made
        self.turns[-1].calls.append((tool, arguments, made))
        return made

    # --- one question ----------------------------------------------------------------------------------------------

    def turn(self) -> Turn:
        """Ask something that fits, make the calls, answer."""
        self.turns.append(Turn(""))
        kind = self._kind()
        question, answer = _ASKED[kind](self)
        turn = self.turns[-1]
        turn.question = (
            f"{_typed(question, self.rng)}\n\n(open on the page: {self.focus})"
            if self.focus
            else _typed(question, self.rng)
        )
        turn.answer = answer
        verdict = self.verifier.verify(answer, self.evidence, question)
        turn.shown = verdict.text
        if not verdict.ok:
            raise ValueError(f"{kind}: {answer!r}: {[str(p) for p in verdict.problems]}")
        return turn

    def _kind(self) -> str:
        weights = dict(_WEIGHTS)
        if not self.store.cases or not self.batch.cases:
            weights |= dict.fromkeys(("overview", "list", "worst", "sample", "unknown"), 6.0)
        if self.recent and not self.focus:
            weights["follow"] = 9.0
        if self.listed:
            weights["ordinal"] = 5.0
        if self.tried == "alpha":
            weights["alpha_again"] = 8.0
        if self.sample:
            weights["still_normal"] = 6.0
        if len(self.recent) > 1 and self.recent[-1] != self.recent[-2]:
            weights["compare_both"] = 3.0
        fitting = [name for name in weights if _fits(name, self)]
        return self.rng.choices(fitting, [weights[name] for name in fitting])[0]

    def say(self, name: str, **slots: str) -> str:
        """A question of a kind with its slots filled."""
        text = spell(self.rng.choice(phrases()[name]), self.rng)
        for key, value in slots.items():
            text = text.replace("{" + key + "}", value)
        return text

    def seen(self, finding: str) -> None:
        """Remember which finding is talked about."""
        self.recent = [*self.recent[-3:], finding]
        self.listed, self.tried, self.sample = self.listed if self.rng.random() < 0.8 else [], "", ""


def _typed(text: str, rng: random.Random) -> str:
    """As people type: a capital at times, at times a slip."""
    if rng.random() < 0.3:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.06:
        text = text.lower() if rng.random() < 0.5 else text.rstrip("?.!") + rng.choice(("??", "...", " please", "!"))
    words = text.split(" ")
    if rng.random() < 0.07:
        at = rng.randrange(len(words))
        if len(words[at]) > 3 and words[at].isalpha():
            cut = rng.randrange(1, len(words[at]) - 1)
            one = words[at]
            words[at] = rng.choice((one[:cut] + one[cut + 1 :], one[:cut] + one[cut + 1] + one[cut] + one[cut + 2 :]))
    return " ".join(words)


# --- what a reference says ----------------------------------------------------------------------------------------


def _named(talk: Talk, finding: str) -> str:
    number = finding[1:]
    return talk.rng.choice((finding, finding, finding, f"finding {number}", finding.lower(), f"finding {finding}"))


def _sample_name(talk: Talk, batch: Batch, sample: str) -> str:
    """How a person names a sample: in full, without its ending, or as "part 17"."""
    rng = talk.rng
    if batch.modality == "table":
        return rng.choice((f"row {sample}", f"row {sample}", f"row number {sample}", f"line {sample}"))
    stem, digits = re.match(r"(.*?)[_-]?(\d+)(?:\.\w+)?$", sample).groups()  # type: ignore[union-attr]
    short = f"{stem} {int(digits)}"
    return rng.choice((sample, re.sub(r"\.\w+$", "", sample), short, short))


def pick(talk: Talk, pronoun: bool = True) -> tuple[str, str | None]:
    """(what a question calls a finding, the finding; None where it has to be found by its sample)."""
    rng = talk.rng
    if pronoun and talk.current and rng.random() < 0.4:
        return rng.choice(("it", "it", "this one", "that one", "this", "that", "this finding")), talk.current
    if talk.listed and len(talk.listed) > 1 and not talk.focus and rng.random() < 0.3:
        return _ordinal(talk)
    finding = rng.choice([case.id for batch in talk.store.batches.values() for case in batch.cases])
    batch = talk.store.home[finding]
    if batch is talk.batch and batch.modality != "series" and rng.random() < 0.25:
        return _sample_name(talk, batch, talk.store.cases[finding].sample), None
    return _named(talk, finding), finding


def _ordinal(talk: Talk) -> tuple[str, str]:
    places = list(range(min(len(talk.listed), len(_ORDINALS))))
    at = talk.rng.choice([*places, -1])
    name = "last" if at < 0 else _ORDINALS[at]
    return talk.rng.choice((f"the {name} one", f"the {name}", f"the {name} finding")), talk.listed[at]


def resolve(talk: Talk, name: str, finding: str | None) -> tuple[str | None, str]:
    """(the finding, "") or (None, the answer where there is none); looks a sample up first."""
    if finding is not None:
        talk.seen(finding)
        return finding, ""
    found = talk.call("find_sample", name=name)
    flagged = answers.finding_of(found)
    if flagged is None:
        return None, answers.sample(found, name)
    talk.seen(flagged)
    return flagged, ""


# --- the questions ------------------------------------------------------------------------------------------------


def _overview(talk: Talk) -> tuple[str, str]:
    rng = talk.rng
    kind = rng.choices(("overview", "overview_run", "share", "most_part"), (8, 3, 1.5, 1.5))[0]
    batch = rng.choice(list(talk.store.batches.values())) if kind == "overview_run" else talk.batch
    if kind == "share" and batch.modality == "series":
        kind = "overview"
    if kind == "most_part" and not batch.cases:
        kind = "overview"
    if kind == "overview_run":
        called = rng.choice((batch.id, batch.id, batch.id.lower(), batch.id[1:]))
        question, found = talk.say(kind, run=called), talk.call("overview", run=batch.id)
    else:
        question, found = talk.say(kind), talk.call("overview")
    talk.tried = talk.sample = ""
    talk.listed = []
    if batch.cases:
        talk.recent = [min(batch.cases, key=lambda case: case.p).id]
    tell = {"share": answers.share, "most_part": answers.most_part}.get(kind, answers.overview)
    return question, tell(found)


def _list(talk: Talk) -> tuple[str, str]:
    rng, batch = talk.rng, talk.batch
    kind = rng.choices(("list", "list_n", "list_part", "list_place", "list_p"), (8, 2, 2.5, 2.5, 1.5))[0]
    causes = [cause.name for case in batch.cases for cause in case.causes if cause.kind != "region"]
    if kind == "list_part" and causes:
        part = rng.choice(causes)
        question, found = talk.say(kind, part=part), talk.call("list_findings", part=part)
    elif kind == "list_place" and batch.modality == "image":
        used = [spot.position for case in batch.cases for spot in case.spots]
        place = rng.choice([*used, *used, rng.choice(worlds.PLACES)])
        question, found = talk.say(kind, place=place), talk.call("list_findings", position=place)
    elif kind == "list_p":
        p = rng.choice((0.001, 0.002, 0.005, 0.0005, 0.003, 0.004, 0.0001))
        question, found = talk.say(kind, p=f"{p:g}"), talk.call("list_findings", max_p=p)
    elif kind == "list_n":
        n = rng.randint(2, 5)
        question, found = talk.say(kind, n=rng.choice((str(n), _COUNTS[n]))), talk.call("list_findings", limit=n)
    else:
        kind = "list"
        question, found = talk.say("list"), talk.call("list_findings")
    talk.listed, talk.recent, talk.tried, talk.sample = answers.listed(found), [], "", ""
    if len(talk.listed) == 1:
        talk.recent = talk.listed[:]
    return question, answers.findings(found, whole=kind == "list")


def _worst(talk: Talk) -> tuple[str, str]:
    why = talk.rng.random() < 0.25
    question = talk.say("worst_why" if why else "worst")
    found = talk.call("list_findings", limit=1)
    first = answers.listed(found)
    if not first:
        return question, answers.nothing(found)
    talk.seen(first[0])
    talk.listed = []
    if why:
        return question, answers.explained(talk.call("explain_finding", finding=first[0]))
    return question, answers.worst(found)


_SHORT = {  # kind -> tool and what is told of its result
    "why": ("explain_finding", answers.explained),
    "where": ("describe_finding", answers.place),
    "when": ("describe_finding", answers.when),
    "duration": ("describe_finding", answers.duration),
    "size": ("describe_finding", answers.size),
    "expected": ("explain_finding", answers.expected),
    "blame": ("explain_finding", answers.blame),
    "similar": ("find_similar", answers.similar),
    "compare_normal": ("compare_with_normal", answers.beside_normal),
    "sure": ("describe_finding", answers.sure),
    "score": ("describe_finding", answers.score),
    "repair": ("what_if_repaired", answers.tried),
}
_SHORT_WEIGHTS = {"why": 6.0, "where": 3.0, "blame": 2.0, "expected": 2.0, "similar": 1.5, "sure": 1.5, "repair": 2.0}
_ONLY = {"when": "series", "duration": "series", "size": "image"}


def _short_kind(talk: Talk, finding: str | None) -> str:
    batch = talk.store.home[finding] if finding else talk.batch
    names = [name for name in _SHORT if _ONLY.get(name, batch.modality) == batch.modality]
    return talk.rng.choices(names, [_SHORT_WEIGHTS.get(name, 1.0) for name in names])[0]


def _about(talk: Talk) -> tuple[str, str]:
    """A question about one finding, by name, sample, place in the list, or "it"."""
    name, finding = pick(talk)
    kind = _short_kind(talk, finding)
    question = talk.say(kind, x=name)
    found, answer = resolve(talk, name, finding)
    if found is None:
        return question, answer
    tool, tell = _SHORT[kind]
    return question, tell(talk.call(tool, finding=found))


def _follow(talk: Talk) -> tuple[str, str]:
    """A short question about the finding that is being talked about."""
    finding = str(talk.current)
    kind = _short_kind(talk, finding)
    question = talk.say(f"{kind}_short")
    talk.seen(finding)
    tool, tell = _SHORT[kind]
    return question, tell(talk.call(tool, finding=finding))


def _and_named(talk: Talk) -> tuple[str, str]:
    name, finding = pick(talk, pronoun=False)
    question = talk.say("and_named", x=name)
    found, answer = resolve(talk, name, finding)
    return question, answers.explained(talk.call("explain_finding", finding=found)) if found else answer


def _ordinal_one(talk: Talk) -> tuple[str, str]:
    name, finding = _ordinal(talk)
    question = talk.say("and_named", x=name) if talk.rng.random() < 0.6 else talk.say("why", x=name)
    talk.seen(finding)
    return question, answers.explained(talk.call("explain_finding", finding=finding))


def _compare(talk: Talk) -> tuple[str, str]:
    name, finding = pick(talk)
    first = finding or talk.rng.choice(list(talk.store.cases))
    name = name if finding else _named(talk, first)
    second = talk.rng.choice([other for other in talk.store.cases if other != first])
    if first == talk.current and talk.rng.random() < 0.4:
        question = talk.say("compare_short", y=_named(talk, second))
    else:
        question = talk.say("compare", x=name, y=_named(talk, second))
    talk.seen(first)
    talk.seen(second)
    return question, answers.compared(talk.call("compare_findings", first=first, second=second))


def _compare_both(talk: Talk) -> tuple[str, str]:
    first, second = talk.recent[-2:]
    question = talk.say("compare_both")
    return question, answers.compared(talk.call("compare_findings", first=first, second=second))


def _part(talk: Talk, finding: str) -> tuple[str, str]:
    """(the argument that a part of a finding is given by, its name)."""
    case: Case = talk.store.cases[finding]
    cause = talk.rng.choice(case.causes)
    return "region" if cause.kind == "region" else "part", cause.name


def _try_part(talk: Talk) -> tuple[str, str]:
    """Repair one part, or leave one out."""
    named = talk.current is None or talk.rng.random() < 0.4
    finding = talk.rng.choice(list(talk.store.cases)) if named else str(talk.current)
    key, part = _part(talk, finding)
    without = key == "part" and talk.rng.random() < 0.5
    kind = ("without_of" if named else "without") if without else ("repair_part_of" if named else "repair_part")
    question = talk.say(kind, part=part, x=_named(talk, finding))
    talk.seen(finding)
    tool = "what_if_without" if without else "what_if_repaired"
    return question, answers.tried(talk.call(tool, finding=finding, **{key: part}))


def _alpha(talk: Talk, again: bool = False) -> tuple[str, str]:
    alpha = talk.rng.choice([*_PERCENTS, 0.003, 0.0005, 0.004, 0.02, 0.05, 0.001])
    percent = _PERCENTS.get(alpha)
    spoken = f"{alpha:g}"
    if percent and talk.rng.random() < 0.35:
        spoken = talk.rng.choice((f"{percent}%", f"{percent} %", f"{percent} percent"))
    question = talk.say("alpha_short" if again else "alpha", alpha=spoken)
    found = talk.call("what_if_alpha", alpha=alpha)
    talk.tried = "alpha"
    return question, answers.other_alpha(found)


def _method(talk: Talk) -> tuple[str, str]:
    named = talk.current is None or talk.rng.random() < 0.5
    finding = talk.rng.choice(list(talk.store.cases)) if named else str(talk.current)
    method = talk.rng.choice(METHODS)
    spoken = method.replace("_", talk.rng.choice(("_", "_", " ", "-")))
    question = talk.say("method_of" if named else "method", method=spoken, x=_named(talk, finding))
    talk.seen(finding)
    return question, answers.tried(talk.call("what_if_method", finding=finding, method=method))


def _label(talk: Talk) -> tuple[str, str]:
    label = talk.rng.choice(("normal", "normal", "anomaly"))
    if talk.current and talk.rng.random() < 0.55:
        name, finding = "", talk.current
        question = talk.say(f"label_{label}_short")
    else:
        name, finding = pick(talk, pronoun=False)  # type: ignore[assignment]
        question = talk.say(f"label_{label}", x=name)
    found, answer = resolve(talk, name, finding)
    if found is None:
        return question, answer
    return question, answers.labelled(talk.call("label_finding", finding=found, label=label))


def _sample(talk: Talk) -> tuple[str, str]:
    """A sample that may or may not have been flagged; with a false premise at times."""
    batch, rng = talk.batch, talk.rng
    sample = rng.choice(batch.names)
    if batch.cases and rng.random() < 0.35:
        sample = rng.choice(batch.cases).sample
    name = _sample_name(talk, batch, sample)
    kind = rng.choices(("normal_sample", "why", "where"), (6, 3, 0.6))[0]
    question = talk.say(kind, x=name)
    found = talk.call("find_sample", name=name)
    flagged = answers.finding_of(found)
    if flagged is None:
        talk.sample = name
        return question, answers.sample(found, name)
    talk.seen(flagged)
    if kind == "normal_sample":
        return question, answers.sample(found, name)
    tool, tell = _SHORT[kind]
    return question, tell(talk.call(tool, finding=flagged))


def _still_normal(talk: Talk) -> tuple[str, str]:
    name = talk.sample
    return talk.say("still_normal_short"), answers.sample(talk.call("find_sample", name=name), name)


def _unknown(talk: Talk) -> tuple[str, str]:
    rng = talk.rng
    if talk.batch.names and rng.random() < 0.5:
        name = rng.choice((f"{worlds.word(rng)} {rng.randint(3000, 9999)}", f"{_stem(talk)} {rng.randint(3000, 9999)}"))
        question = talk.say(rng.choice(("normal_sample", "why")), x=name)
        found = talk.call("find_sample", name=name)
        return question, answers.sample(found, name)
    finding = f"F{rng.choice((rng.randint(150, 999), rng.randint(1, 99)))}"
    if finding in talk.store.cases:
        finding = f"F{rng.randint(500, 999)}"
    question = talk.say("unknown_finding", x=_named(talk, finding))
    return question, answers.unknown(talk.call("explain_finding", finding=finding), finding)


def _stem(talk: Talk) -> str:
    return "row" if talk.batch.modality == "table" else re.sub(r"[\d_-].*", "", talk.batch.names[0]) or "part"


def _incident(talk: Talk) -> tuple[str, str]:
    rng = talk.rng
    if len(talk.store.cases) > 1 and rng.random() < 0.5:
        chosen = rng.sample(list(talk.store.cases), min(len(talk.store.cases), rng.randint(2, 3)))
        spoken = " and ".join([", ".join(chosen[:-1]), chosen[-1]])
        question = talk.say("incident_of", list=spoken)
        return question, answers.incident(talk.call("summarise_incident", findings=chosen))
    return talk.say("incident"), answers.incident(talk.call("summarise_incident"))


_TOPICS = {"p": "p-value", "alpha": "alpha", "map": "map", "methods": "methods", "score": "score", "help": "help"}


def _guide(talk: Talk) -> tuple[str, str]:
    topic = talk.rng.choice(list(_TOPICS))
    return talk.say(f"guide_{topic}"), answers.guide(talk.call("read_guide", topic=_TOPICS[topic]))


def _unanswerable(talk: Talk) -> tuple[str, str]:
    name = talk.current or talk.rng.choice([*talk.store.cases, "it"])
    return talk.say("unanswerable", x=name), answers.UNANSWERABLE


def _ambiguous(talk: Talk) -> tuple[str, str]:
    """ "It", and nothing was said of any finding: with one finding that is meant, else one asks back."""
    kind = talk.rng.choice((*_SHORT, "label_normal", "label_anomaly"))
    kind = "why" if _ONLY.get(kind, talk.batch.modality) != talk.batch.modality else kind
    question = (
        talk.say(f"{kind}_short") if talk.rng.random() < 0.5 else talk.say(kind, x=talk.rng.choice(("it", "this")))
    )
    found = talk.call("list_findings")
    names = answers.listed(found)
    if not names:
        return question, answers.nothing(found)
    if len(names) > 1:
        talk.listed = names
        return question, answers.which(found)
    talk.seen(names[0])
    if kind.startswith("label"):
        return question, answers.labelled(talk.call("label_finding", finding=names[0], label=kind[6:]))
    tool, tell = _SHORT[kind]
    return question, tell(talk.call(tool, finding=names[0]))


def _manners(talk: Talk) -> tuple[str, str]:
    kind = talk.rng.choice(("greet", "thanks", "who"))
    return talk.say(kind), answers.MANNERS[kind]


_ASKED = {
    "overview": _overview,
    "list": _list,
    "worst": _worst,
    "about": _about,
    "follow": _follow,
    "and_named": _and_named,
    "ordinal": _ordinal_one,
    "compare": _compare,
    "compare_both": _compare_both,
    "try_part": _try_part,
    "alpha": _alpha,
    "alpha_again": lambda talk: _alpha(talk, again=True),
    "method": _method,
    "label": _label,
    "sample": _sample,
    "still_normal": _still_normal,
    "unknown": _unknown,
    "incident": _incident,
    "guide": _guide,
    "unanswerable": _unanswerable,
    "ambiguous": _ambiguous,
    "manners": _manners,
}
_WEIGHTS = {
    "overview": 5.0,
    "list": 5.0,
    "worst": 4.0,
    "about": 10.0,
    "and_named": 2.0,
    "compare": 3.0,
    "try_part": 3.5,
    "alpha": 1.5,
    "method": 1.2,
    "label": 2.5,
    "sample": 4.0,
    "unknown": 1.5,
    "incident": 1.5,
    "guide": 1.5,
    "unanswerable": 2.5,
    "ambiguous": 1.5,
    "manners": 0.8,
}
_NEEDS_FINDINGS = {"about", "and_named", "try_part", "method", "label"}


def _fits(kind: str, talk: Talk) -> bool:
    if kind in _NEEDS_FINDINGS:
        return bool(talk.store.cases)
    if kind == "compare":
        return len(talk.store.cases) > 1
    if kind == "sample":
        return bool(talk.batch.names)
    if kind == "ambiguous":
        return not talk.focus and not talk.recent and not talk.listed
    return True


# --- as messages --------------------------------------------------------------------------------------------------


def dialogue(rng: random.Random, turns: int) -> list[Message]:
    """A conversation that ends with an answer as a model writes it; earlier answers stand as the reader saw them."""
    talk = Talk(rng, worlds.make(rng))
    for _ in range(turns):
        talk.turn()
    return _messages(talk, _spoilt(talk.turns[-1].answer, rng) if rng.random() < _SPOILT else "")


def _spoilt(answer: str, rng: random.Random) -> str:
    """A draft with something wrong, "" where there is nothing to spoil: another digit, or a reference cut short."""
    places = [match.start() for match in re.finditer(r"\d", answer)]
    if not places:
        return ""
    at = rng.choice(places)
    return answer[:at] + str(rng.randint(0, 9)) * rng.randint(0, 2) + answer[at + 1 :]


def _messages(talk: Talk, draft: str) -> list[Message]:
    messages: list[Message] = []
    for number, turn in enumerate(talk.turns):
        last, old = number == len(talk.turns) - 1, number < len(talk.turns) - _SHOWN_TURNS
        messages.append({"role": "user", "content": turn.question})
        for name, arguments, found in turn.calls:
            made = {"type": "function", "function": {"name": name, "arguments": arguments}}
            text = render(found)
            messages.append({"role": "assistant", "content": "", "tool_calls": [made]})
            messages.append({"role": "tool", "name": name, "content": text.split("\n", 1)[0] if old else text})
        if last and draft:
            messages.append({"role": "assistant", "content": draft})
            messages.append({"role": "user", "content": prompts.render("correction", problems=[])})
        messages.append({"role": "assistant", "content": turn.answer if last else turn.shown})
    return messages
