"""Reads a conversation off its messages: turns, their evidence, and what was talked about before the current one.

Turns plain entries (role and text) into `Turn`s and a `Memory`. Knows evidence and the marks that the agent puts into
messages (the open finding, corrections); not language, tools or LangChain. Holds no state of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from assistant.evidence import Evidence, Fact, is_evidence, parse

_OPEN = re.compile(r"\(open on the page: (F\d+)\)|[Tt]he person has (F\d+) open")
_CORRECTION = ("Your answer was compared with the evidence", "Your reply could not be used")
_WRONG_SENTENCE = re.compile(r'^- Sentence \d+, ("(?:[^"\\]|\\.)*"):', re.MULTILINE)
_ONE = ("describe_finding", "show_map", "explain_finding", "compare_with_normal", "find_similar", "what_if_repaired",
        "what_if_without", "what_if_method", "label_finding")  # fmt: skip
_MOST_NAMES = 200  # channels that a question is searched for
_GONE_THROUGH = 50  # findings of a list that is looked through, not shown
_LISTS = ("list_findings", "find_similar", "summarise_incident")


@dataclass(frozen=True)
class Entry:
    """One message: "system", "human", "assistant" or "tool", and its text."""

    role: str
    text: str


@dataclass
class Turn:
    """One question with all that followed it."""

    question: str
    focus: str | None = None  # the finding open on the page when it was asked
    evidence: list[Evidence] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # tool texts that are no evidence: what went wrong
    answer: str = ""
    wrong: list[str] = field(default_factory=list)  # sentences of the answer that did not match their evidence


@dataclass
class Memory:
    """What a conversation was about before the current question; the latest last."""

    topics: list[str] = field(default_factory=list)  # "F12", or "sample part_003.png" for one that was not flagged
    pair: tuple[str, str] | None = None  # the last two that were compared
    shown: list[str] = field(default_factory=list)  # findings of the last list, in its order
    shown_last: bool = False  # whether that list is the latest thing said
    focus: str | None = None  # the finding that was open on the page at the last question
    parts: dict[str, list[str]] = field(default_factory=dict)  # finding or run -> channels or features, as ranked
    regions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # finding -> (region, position)
    tool: str = ""  # the tool whose result was used last
    areas: dict[str, dict[str, float]] = field(default_factory=dict)  # finding -> region -> area
    units: dict[str, set[str]] = field(default_factory=dict)  # finding -> units of its values
    region: str | None = None  # the region that was tried last
    run: str | None = None  # the run that was spoken of last
    asked_runs: set[str] = field(default_factory=set)  # runs that were asked for by their ids
    latest_run: str | None = None
    part: str | None = None  # the channel or feature that was named or tried last
    modality: str = ""
    homes: dict[str, str] = field(default_factory=dict)  # finding or sample -> its run, as far as told

    def copy(self) -> Memory:
        """The same, to be taken further without a change here."""
        fresh = Memory(**self.__dict__)
        fresh.topics, fresh.shown, fresh.asked_runs = list(self.topics), list(self.shown), set(self.asked_runs)
        fresh.parts = {key: list(names) for key, names in self.parts.items()}
        fresh.regions = {key: list(names) for key, names in self.regions.items()}
        fresh.areas = {key: dict(areas) for key, areas in self.areas.items()}
        fresh.homes = dict(self.homes)
        fresh.units = {key: set(units) for key, units in self.units.items()}
        return fresh

    def after(self, turn: Turn) -> Memory:
        """The memory with one more turn in it."""
        self.shown_last = False
        for evidence in turn.evidence:
            self.take(evidence)
        self._narrow(turn)
        self._spoken_of(turn)
        self.focus = turn.focus
        return self

    def _narrow(self, turn: Turn) -> None:
        """Of a list that was gone through for some of its findings, those that the answer told were shown."""
        if self.shown_last and turn.evidence and turn.evidence[-1].arguments.get("limit") == _GONE_THROUGH:
            told = [name for name in self.shown if re.search(rf"\b{name}\b", turn.answer)]
            self.shown = told or self.shown

    def _spoken_of(self, turn: Turn) -> None:
        """An answer that looked at several and names one first speaks of that one: "The longest is F2"."""
        looked_at = [one for one in turn.evidence if one.tool in ("list_findings", *_ONE)]
        first = re.split(r"(?<=[.!?:]) ", turn.answer, maxsplit=1)[0]
        named = list(dict.fromkeys(re.findall(r"\bF\d+\b", first)))
        if len(looked_at) > 1 and len(named) == 1 and "\n- " not in turn.answer and named[0] in self.shown:
            self.topic(named[0])

    def take(self, evidence: Evidence) -> None:
        """Remember one result."""
        self._names(evidence.facts)
        if evidence.status == "error":
            return
        self._run_of(evidence)
        if asked := evidence.arguments.get("run"):
            self.run = str(asked)
            self.asked_runs.add(self.run)
        arguments, tool = evidence.arguments, evidence.tool
        self.tool = tool
        if tool in _LISTS:
            self.shown = _findings(evidence, without=str(arguments.get("finding", "")))
            self.shown_last = True
        if tool in _ONE:
            self.topic(str(arguments.get("finding", "")))
            self.part = arguments.get("part") or self.part
            self.region = arguments.get("region") or self.region
        elif tool == "compare_findings":
            self.pair = (str(arguments.get("first", "")), str(arguments.get("second", "")))
            self.topic(self.pair[1])
            self.topic(self.pair[0])
        elif tool == "find_sample":
            self.topic(sample_topic(evidence))
            if self.topics and self.run:
                self.homes[self.topics[-1]] = self.run
        elif tool == "overview":
            if not arguments.get("run"):
                self.latest_run = next((one for one in evidence.subjects if one.startswith("R")), self.latest_run)
            best = first_value(evidence, "most_anomalous")
            if best and not self.shown:
                self.shown = [str(best)]

    def _run_of(self, evidence: Evidence) -> None:
        """The run that a result is about: its own, or that of its first finding or sample."""
        first = evidence.facts[0].subject.partition("/")[0] if evidence.facts else ""
        if re.fullmatch(r"R\d+", first):
            self.run = first
        elif told := next((one for one in evidence.facts if one.subject == first and one.field == "run"), None):
            self.run = str(told.value)

    def topic(self, name: str) -> None:
        """Make `name` the thing that "it" means."""
        if name:
            if self.topics and self.topics[-1] != name:
                self.part = self.region = None  # what is spoken of next is another thing
            self.topics = [*(one for one in self.topics if one != name), name]
            self.shown_last = False

    def _names(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            owner, _, rest = fact.subject.partition("/")
            if fact.unit and owner.startswith("F"):
                self.units.setdefault(owner, set()).add(fact.unit)
            if fact.field == "modality":
                self.modality = str(fact.value)
            kind, _, name = rest.partition(" ")
            if kind in ("channel", "feature", "part"):
                names = self.parts.setdefault(owner, [])
                if name not in names:
                    names.append(name)
            elif kind in ("region", "interval"):
                regions = self.regions.setdefault(owner, [])
                if rest not in [one for one, _ in regions]:
                    regions.append((rest, ""))
                if fact.field == "area" and isinstance(fact.value, int | float):
                    self.areas.setdefault(owner, {})[rest] = float(fact.value)
                if fact.field == "position":
                    self.regions[owner] = [(one, str(fact.value) if one == rest else at) for one, at in regions]


def channel_names(memory: Memory) -> tuple[str, ...]:
    """Every channel and feature that the conversation has met, longest first."""
    names = {name for owned in memory.parts.values() for name in owned}
    return tuple(sorted(names, key=lambda name: (-len(name), name)))[:_MOST_NAMES]


def first_value(evidence: Evidence, key: str) -> object:
    """The value of the first fact of a field, None if there is none."""
    return next((fact.value for fact in evidence.facts if fact.field == key), None)


def sample_topic(evidence: Evidence) -> str:
    """What a found sample is called from now on: its finding if it was flagged, else "sample NAME"; "" for none."""
    finding = first_value(evidence, "finding")
    if finding:
        return str(finding)
    return next((fact.subject for fact in evidence.facts if fact.subject.startswith("sample ")), "")


def read(entries: Sequence[Entry]) -> list[Turn]:
    """The turns of a conversation, the current one last."""
    turns: list[Turn] = []
    system_focus = None
    for entry in entries:
        if entry.role == "system":
            system_focus = _focus(entry.text) or system_focus
        elif entry.role == "human" and entry.text.lstrip().startswith(_CORRECTION):
            if turns:
                turns[-1].wrong += [json.loads(text) for text in _WRONG_SENTENCE.findall(entry.text)]
        elif entry.role == "human":
            question = _OPEN.sub("", entry.text).strip()
            turns.append(Turn(question, _focus(entry.text)))
        elif entry.role == "tool" and turns:
            if is_evidence(entry.text):
                turns[-1].evidence.append(parse(entry.text))
            else:
                turns[-1].broken.append(entry.text)
        elif entry.role == "assistant" and turns and entry.text.strip():
            turns[-1].answer = entry.text
    if turns and turns[-1].focus is None:
        turns[-1].focus = system_focus
    return turns


def remember(turns: Sequence[Turn]) -> Memory:
    """What the turns were about."""
    memory = Memory()
    for turn in turns:
        memory.after(turn)
    return memory


def _focus(text: str) -> str | None:
    found = _OPEN.search(text)
    return (found[1] or found[2]) if found else None


def _findings(evidence: Evidence, without: str) -> list[str]:
    """The findings that a result lists, in its order: by facts about them or by names such as "F3 vs F1"."""
    names = [name for fact in evidence.facts for name in re.findall(r"\bF\d+\b", fact.subject.partition("/")[0])]
    return [name for name in dict.fromkeys(names) if name != without]
