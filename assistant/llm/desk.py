"""The narrator's desk: results at hand, calls still needed, and which finding, run, part or region is meant.

A skill (see `skills`) runs from its beginning each time and asks the desk for results; where one is not there yet the
desk raises `Need` with the call to make, and the skill runs again when the result has come. Knows tool names, evidence
and references; not wording or LangChain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from assistant.evidence import Evidence
from assistant.llm.dialogue import Memory, Turn, first_value, sample_topic
from assistant.llm.interpret import Ask
from assistant.llm.phrases import Pen
from assistant.llm.pointing import part_meant, points_at_region, region_meant
from assistant.llm.understand import Reading

Call = tuple[str, dict[str, Any]]
MOST_CALLS = 12


_OTHER = re.compile(
    r"\bthe (?:other|previous)(?: (?:one|finding|part|event|row|image|alarm))?(?=[\s?.!,]*$| and | of | in )"
    r"|\bother (?:one|finding|part|event)\b"
)


class Need(Exception):  # noqa: N818 - not an error: the calls that a skill waits for
    """Results that are not there yet."""

    def __init__(self, calls: Sequence[Call]):
        super().__init__(f"needs {len(calls)} results")
        self.calls = list(calls)


class Finished(Exception):  # noqa: N818 - not an error: the answer is complete
    """The answer was written before the skill came to its end."""


class Desk:
    """One question at work. `defaults` maps each offered tool to the default values of its arguments."""

    def __init__(self, turn: Turn, memory: Memory, asked: Ask, defaults: Mapping[str, Mapping[str, Any]]):
        self.turn = turn
        self.memory = memory
        self.asked = asked
        self.defaults = defaults
        self.pen = Pen(turn.question)
        self.used: list[Evidence] = []  # results that this question asked for
        self.sources: dict[str, str] = {}  # evidence of the whole conversation: id -> tool
        self.known = memory.copy()
        for evidence in turn.evidence:
            self.known._names(evidence.facts)

    @property
    def reading(self) -> Reading:
        return self.asked.reading

    # --- results ------------------------------------------------------------------------------------------------

    def use(self, tool: str, **arguments: Any) -> Evidence:
        """The result of a call; a call without a result that can be used ends the answer with what the tool said."""
        evidence = self.try_(tool, **arguments)
        if evidence.status != "ok":
            self.tell_note(evidence)
        return evidence

    def try_(self, tool: str, **arguments: Any) -> Evidence:
        """The result of a call, whatever its status."""
        return self.all([(tool, arguments)])[0]

    def all(self, calls: Sequence[Call]) -> list[Evidence]:
        """The results of several calls, asked for at once."""
        plain = [(tool, {key: value for key, value in given.items() if value is not None}) for tool, given in calls]
        found = [self._held(*call) for call in plain]
        missing = [call for call, evidence in zip(plain, found, strict=True) if evidence is None]
        self.used += [one for one in found if one is not None and one not in self.used]
        if not missing:
            return [evidence for evidence in found if evidence is not None]
        self._check_calls(missing)
        raise Need(missing)

    def _held(self, tool: str, arguments: dict[str, Any]) -> Evidence | None:
        for evidence in reversed(self.turn.evidence):
            if evidence.tool == tool and self._same(tool, arguments, evidence.arguments):
                return evidence
        return None

    def _same(self, tool: str, wanted: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
        defaults = self.defaults.get(tool, {})
        left = {key: value for key, value in made.items() if value is not None and defaults.get(key) != value}
        right = {key: value for key, value in wanted.items() if defaults.get(key) != value}
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)

    def _check_calls(self, calls: Sequence[Call]) -> None:
        for tool, _ in calls:
            if tool not in self.defaults:
                self.end("no_tool", tool=tool.replace("_", " "))
        if self.turn.broken or len(self.turn.evidence) + len(calls) > MOST_CALLS:
            self.end("tool_failed")

    # --- answers ------------------------------------------------------------------------------------------------

    def say(self, key: str, *evidence: Evidence, **slots: Any) -> bool:
        """Add a sentence if all its slots are known; whether it was added."""
        return self.pen.say(key, evidence, slots)

    def end(self, key: str, *evidence: Evidence, **slots: Any) -> NoReturn:
        """Add a last sentence and finish."""
        self.say(key, *evidence, **slots)
        raise Finished

    def tell_note(self, evidence: Evidence) -> NoReturn:
        """Finish with what a tool said when it had no result."""
        self.pen.quote(evidence.note or "There is no result for that.", evidence)
        raise Finished

    # --- which run ----------------------------------------------------------------------------------------------

    def run(self) -> str | None:
        """The run that the question names; None for the latest."""
        if self.reading.mentions.runs:
            return self.reading.mentions.runs[0]
        if re.search(r"\b(?:previous|earlier|yesterday|last but one|before)\b", self.reading.plain) and re.search(
            r"\b(?:run|batch|shift|yesterday)\b|before that$", self.reading.plain
        ):
            latest = first_run(self.use("overview"))
            if latest and int(latest[1:]) > 1:
                return f"R{int(latest[1:]) - 1}"
        if "recent" in self.reading.concepts or self.asked.intent == "overview":
            return None
        return self.spoken_run

    @property
    def spoken_run(self) -> str | None:
        """The run that the conversation is about; None where that is, or may be, the latest."""
        about, latest = self.memory.run, self.memory.latest_run
        return about if about in self.memory.asked_runs or (about and latest and about != latest) else None

    # --- which findings -----------------------------------------------------------------------------------------

    def finding(self) -> str:
        """The one finding that is meant; a sample that was not flagged, or an unclear reference, ends the answer."""
        return self.findings()[0]

    def findings(self) -> list[str]:
        """The findings that are meant, at least one."""
        seen = self.reading.mentions
        named = [*seen.findings, *(self.flagged(name) for name in seen.samples)]
        named += [self.at_place(place) for place in seen.places]
        if named:
            return list(dict.fromkeys(named))
        if seen.bare and not seen.levels:
            return [self.flagged(seen.bare[0])]
        if "worst" in self.reading.concepts and self.asked.intent not in ("worst", "list"):
            return [self.worst()]
        return [self._pointed_at()]

    def flagged(self, name: str) -> str:
        """The finding of a named sample; ends the answer where the sample is unknown or was not flagged."""
        evidence = self.sample(name)
        topic = sample_topic(evidence)
        if not topic.startswith("F"):
            self.not_flagged(evidence)
        return topic

    def sample(self, name: str) -> Evidence:
        """The result for a named sample; tried without its noun ("row 217" -> "217") where that is not known."""
        run = self.reading.mentions.runs[0] if self.reading.mentions.runs else self.spoken_run
        found = self.try_("find_sample", name=name, run=run)
        if found.status == "no_data" and run and not self.reading.mentions.runs:
            run = None
            found = self.try_("find_sample", name=name)
        bare = re.sub(r"^[a-z]+ (?=\S*\d)", "", name)
        if found.status == "no_data" and bare != name:
            second = self.try_("find_sample", name=bare, run=run)
            if second.status == "ok":
                return second
        if found.status != "ok":
            self.tell_note(found)
        return found

    def not_flagged(self, evidence: Evidence) -> NoReturn:
        """Finish by saying that a sample is normal as far as the detector can tell."""
        subject = next(fact.subject for fact in evidence.facts if fact.subject.startswith("sample "))
        values = {fact.field: fact for fact in evidence.facts if fact.subject == subject}
        name = self.pen.name(subject.removeprefix("sample "), self.modality_of(evidence))
        false_premise = self.asked.intent not in ("check", "sure")
        self.say("not_flagged_p", evidence, name=name, p=values.get("p_value"), alpha=values.get("alpha"))
        if not self.pen.sentences:
            self.say("not_flagged", evidence, name=name)
        self.end("not_flagged_premise" if false_premise else "not_flagged_more")

    def at_place(self, place: int) -> str:
        """The finding at a place of the last list; a list is asked for where none was shown."""
        words = self.reading.plain
        if self.memory.pair and re.search(r"\b(?:former|latter)\b", words):
            return self.memory.pair[1 if "latter" in words else 0]
        shown = self.memory.shown
        if len(shown) < max(place, 2):
            listed = self.use("list_findings")
            shown = listing(listed)
        if not shown or abs(place) > len(shown):
            self.end("no_such_place", count=len(shown))
        return shown[place - 1 if place > 0 else place]

    def worst(self) -> str:
        """The most anomalous finding of the run."""
        evidence = self.use("overview", run=self.run())
        best = first_value(evidence, "most_anomalous")
        if not best:
            self.nothing_flagged(evidence)
        return str(best)

    def nothing_flagged(self, evidence: Evidence) -> NoReturn:
        """Finish by saying that the run has no findings."""
        samples = next((fact for fact in evidence.facts if fact.field == "samples"), None)
        run = first_run(evidence)
        if not self.say("nothing_flagged_of", evidence, run=run, samples=samples):
            self.say("nothing_flagged", evidence)
        raise Finished

    def _pointed_at(self) -> str:
        """What "it", "this", "the other one" or no name at all stands for."""
        words, topics = self.reading.plain, self.memory.topics
        if self.memory.pair and re.search(r"\b(?:former|latter)\b", words):
            return self.memory.pair[1 if "latter" in words else 0]
        if _OTHER.search(words) and "channel" not in self.reading.concepts and topics:
            return self._other()
        if re.search(r"\bnext (?:one|finding|part|event)\b|^(?:and )?(?:the )?next\W*$", words):
            return self._next()
        if self.turn.focus and (self.turn.focus != self.memory.focus or not topics):
            return self.turn.focus
        if topics:
            return self._topic(topics[-1])
        if len(self.memory.shown) == 1:
            return self.memory.shown[0]
        return self._only_or_ask()

    def _topic(self, topic: str) -> str:
        """A topic is a finding, or a sample that was not flagged: then the answer ends there."""
        if topic.startswith("F"):
            return topic
        return self.flagged(topic.removeprefix("sample "))

    def _other(self) -> str:
        """ "The other one": of the two that were shown or spoken of; of more, the answer asks which."""
        shown, topics = self.memory.shown, self.memory.topics
        if len(shown) == 2 and topics[-1] in shown:
            return next(name for name in shown if name != topics[-1])
        if len(topics) > 1:
            return self._topic(topics[-2])
        return self._only_or_ask(without=topics[-1])

    def _next(self) -> str:
        shown, topics = self.memory.shown, self.memory.topics
        if topics and topics[-1] in shown and shown.index(topics[-1]) + 1 < len(shown):
            return shown[shown.index(topics[-1]) + 1]
        names = listing(self.use("list_findings", run=self.spoken_run))
        after = names.index(topics[-1]) + 1 if topics and topics[-1] in names else 0
        if after >= len(names):
            self.end("no_such_place", count=len(names))
        return names[after]

    def _only_or_ask(self, without: str = "") -> str:
        """The only finding there is; else the answer asks back."""
        listed = self.try_("list_findings", run=self.run())
        names = [name for name in listing(listed) if name != without]
        if len(names) == 1:
            return names[0]
        if not names:
            self.nothing_flagged(listed)
        some = [self.pen.finding(listed, name, short=True) for name in names[:4]]
        self.end("which_finding", listed, names=self.pen.alternatives(some))
        return None

    def two(self) -> tuple[str, str]:
        """The two findings of a comparison."""
        seen = self.reading.mentions
        named = [*seen.findings, *(self.flagged(name) for name in seen.samples)]
        named += [self.at_place(place) for place in seen.places]
        if self.memory.pair and re.search(r"\b(?:former|latter)\b", self.reading.plain):
            named.insert(0, self.memory.pair[1 if "latter" in self.reading.plain else 0])
        named = list(dict.fromkeys(named))
        if len(named) >= 2:
            return named[0], named[1]
        if len(named) == 1:
            return self._partner(named[0])
        return self._last_two()

    def _partner(self, named: str) -> tuple[str, str]:
        if self.turn.focus and self.turn.focus not in (named, self.memory.focus):
            return self.turn.focus, named
        if self.asked.shortened and self.memory.pair:
            return self.memory.pair[0], named
        others = [topic for topic in self.memory.topics if topic.startswith("F") and topic != named]
        if others:
            return others[-1], named
        if self.turn.focus and self.turn.focus != named:
            return self.turn.focus, named
        self.end("compare_with_what", name=named)
        return None

    def _last_two(self) -> tuple[str, str]:
        topics = [topic for topic in self.memory.topics if topic.startswith("F")]
        if self.memory.tool == "find_similar" and self.memory.shown:
            return topics[-1], self.memory.shown[0]
        shown = [name for name in self.memory.shown if name not in topics[-1:]]
        if self.memory.shown_last and len(self.memory.shown) >= 2 and not topics:
            return self.memory.shown[0], self.memory.shown[1]
        fresh = self.turn.focus if self.turn.focus and self.turn.focus != self.memory.focus else None
        if fresh and topics:
            return fresh, topics[-1]
        if self.memory.shown and topics and (len(topics) < 2 or self.memory.shown_last) and shown:
            return topics[-1], shown[0]
        if len(topics) >= 2:
            return topics[-1], topics[-2]
        listed = self.use("list_findings", run=self.run())
        names = listing(listed)
        if len(names) < 2:
            self.end("only_one_finding", listed)
        return names[0], names[1]

    # --- which part or region -----------------------------------------------------------------------------------

    def part(self, owner: str, required: bool = True) -> str | None:
        """The channel or feature that the question names, as the data spell it. `owner` is a finding or a run."""
        names = self.parts_of(owner)
        found = part_meant(self.reading, names, self.memory.part)
        if found is not None or not required or len(names) < 2:
            return found or (names[0] if required and names else None)
        described = self.use("describe_finding", finding=owner)
        some = [self.pen.part(one) for one in names[:4]]
        self.end("which_part", described, name=owner, names=self.pen.alternatives(some))
        return None

    def parts_of(self, owner: str) -> list[str]:
        """Channels or features of a finding or run, most guilty first; looked up where they are not known yet."""
        if owner not in self.known.parts:
            self.use("overview", run=owner) if owner.startswith("R") else self.use("describe_finding", finding=owner)
        return self.known.parts.get(owner, [])

    def region(self, finding: str) -> str | None:
        """The region that the question names; None for the whole."""
        if finding not in self.known.regions and points_at_region(self.reading):
            self.use("describe_finding", finding=finding)
        regions = self.known.regions.get(finding, [])
        return region_meant(self.reading, regions, self.known.areas.get(finding, {}), self.memory.region)

    def modality_of(self, evidence: Evidence) -> str:
        """image, series or table, as far as known."""
        return str(first_value(evidence, "modality") or self.known.modality)


def listing(evidence: Evidence) -> list[str]:
    """The findings that a list result holds, in its order."""
    names = [fact.subject for fact in evidence.facts if re.fullmatch(r"F\d+", fact.subject)]
    return list(dict.fromkeys(names))


def first_run(evidence: Evidence) -> str | None:
    """The first run that a result is about."""
    return next((fact.subject for fact in evidence.facts if re.fullmatch(r"R\d+", fact.subject)), None)


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, int | float) and isinstance(two, int | float):
        return abs(one - two) <= 1e-3 * max(abs(one), abs(two))
    return bool(one == two)
