"""The narrator's desk: which finding, run, part or region a question means, on top of the results at hand.

Turns a reading and the conversation's memory into ids; an unclear reference ends the answer with a question. Knows
evidence and references; not wording or LangChain.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NoReturn

from assistant.evidence import Evidence
from assistant.llm.dialogue import first_value, sample_topic
from assistant.llm.listed import Listed, first_run, listing
from assistant.llm.measures import Measure, superlative
from assistant.llm.mentions import DAY, clock_of
from assistant.llm.naming import match_name, position_in
from assistant.llm.pointing import part_meant, points_at_region, region_meant
from assistant.llm.view import View, begins

_OTHER = re.compile(
    r"\bthe (?:other|previous)(?: (?:one|finding|part|event|row|image|alarm))?(?=[\s?.!,]*$| and | of | in )"
    r"|\bother (?:one|finding|part|event)\b"
)


_OF_THOSE = re.compile(r"\bof (?:those|these|them)\b")
_LATER_OF = re.compile(r"\b(?:later|latter|lower) (?:one )?of (?:the )?(?:two|those|these|them)\b")
_ALL_OF_THEM = re.compile(
    r"\b(?:both|each|them|they|those|these|all (?:of them|two|three|four|xcount)|the (?:two|three|four|others|rest|"
    r"other (?:two|three)))\b"
)
_REST = re.compile(r"\bthe (?:others|rest|other (?:two|three)|remaining (?:ones|two|three))\b")
_PIECES = re.compile(
    r"\bboth (?:\w+ )?(?:channel|sensor|feature|field|signal|gauge|spot|region|mark|column|place|value)s?\b|"
    r"\btogether\b|\bof them\b"
)
_OTHER_OF_RUN = re.compile(r"\bother (?:\w+day|run|night|shift|batch)(?:'s)? (?:one|finding|part|event|row|reject)\b")
_OF_VALUES = ("repaired", "without", "facts", "expected", "blame", "differs")  # a number there is a value
_FEW = 4  # findings of a list that "them" may stand for
_THE_ONE = re.compile(
    r"\bthe (?:one|finding|event|part|row|image|payment|alarm) "
    r"(?:with|about|on|in|at|involving|concerning|where|that has|that involves) (?:the )?(?P<rest>[\w _-]{2,40})"
)


class Desk(Listed):
    """One question at work. `defaults` maps each offered tool to the default values of its arguments."""

    # --- which findings -----------------------------------------------------------------------------------------

    def finding(self) -> str:
        """The one finding that is meant; a sample that was not flagged, or an unclear reference, ends the answer."""
        return self.findings()[0]

    def findings(self) -> list[str]:
        """The findings that are meant, at least one."""
        seen, words = self.reading.mentions, self.reading.plain
        named = [*seen.findings, *(self.flagged(name) for name in seen.samples)]
        named += [self.at_place(place) for place in seen.places]
        if named:
            return list(dict.fromkeys(named))
        if seen.bare and not seen.levels and not (self.memory.topics and self.asked.intent in _OF_VALUES):
            return [self.flagged(seen.bare[0])]
        if described := self._described():
            return [described]
        if seen.times and self.asked.intent != "list" and self.memory.modality != "table":
            return [self._at_time(seen.times[0])]
        if seen.day:
            return [self._in_the(seen.day[0])]
        if _LATER_OF.search(words) and len(self.memory.shown) > 1:
            listed = self.use("list_findings", run=self.run(), limit=50, order="index")
            return [[name for name in listing(listed) if name in self.memory.shown][-1]]
        if self.asked.intent not in ("list", "overview") and (one := self.extreme()):
            return [one]
        if several := self._several():
            return several
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
        if day := self.day_run():
            run = day if day != self.known.latest_run else None
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
        self.say_not_flagged(evidence)
        false_premise = self.asked.intent not in ("check", "sure")
        self.end("not_flagged_premise" if false_premise else "not_flagged_more")

    def say_not_flagged(self, evidence: Evidence) -> None:
        """Say that a sample is normal as far as the detector can tell."""
        subject = next(fact.subject for fact in evidence.facts if fact.subject.startswith("sample "))
        values = {fact.field: fact for fact in evidence.facts if fact.subject == subject}
        name = self.pen.name(subject.removeprefix("sample "), self.modality_of(evidence))
        if not self.say("not_flagged_p", evidence, name=name, p=values.get("p_value"), alpha=values.get("alpha")):
            self.say("not_flagged", evidence, name=name)

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
        if _OF_THOSE.search(self.reading.plain) and self.memory.shown_last and len(self.memory.shown) > 1:
            return self.memory.shown[0]
        evidence = self.use("overview", run=self.run())
        best = first_value(evidence, "most_anomalous")
        if not best:
            self.nothing_flagged(evidence)
        return str(best)

    def _several(self) -> list[str]:
        """ "Both", "those", "each of them": the two that were compared, or the last list where it is short."""
        if not _ALL_OF_THEM.search(self.reading.plain) or _PIECES.search(self.reading.plain):
            return []
        memory = self.memory
        if memory.pair and set(memory.pair) == set(memory.topics[-2:]):
            return list(memory.pair)
        topic = (memory.topics or [""])[-1]
        rest = _REST.search(self.reading.plain)
        if rest and topic in memory.shown and len(memory.shown) <= _FEW:
            return [name for name in memory.shown if name != topic]
        return memory.shown if memory.shown_last and 1 < len(memory.shown) <= _FEW else []

    def extreme(self) -> str | None:
        """The longest, the darkest, the least certain finding, where the question means one by such a word."""
        measure = superlative(self.reading.plain)
        topic = (self.memory.topics or [""])[-1]
        if measure is None or measure == Measure("p_value", False):
            return None
        if len(self.known.regions.get(topic, ())) > 1 and points_at_region(self.reading):
            return None  # one of its places is meant
        return self.ranked(measure)[0][0]

    def _pointed_at(self) -> str:
        """What "it", "this", "the other one" or no name at all stands for."""
        words, topics = self.reading.plain, self.memory.topics
        two = self.memory.pair or (self.memory.shown if len(self.memory.shown) == 2 else None)
        if two and re.search(r"\b(?:former|latter)\b", words):
            return two[1 if "latter" in words else 0]
        if _OTHER.search(words) and topics and not self._of_two_pieces(topics[-1]):
            return self._other()
        if re.search(r"\bnext (?:one|finding|part|event)\b|^(?:and )?(?:the )?next\W*$", words):
            return self._next()
        if re.search(r"\b\w+day's\b", words) and (day := self.day_run()):
            of_day = [topic for topic in topics if self.memory.homes.get(topic) == day]
            if of_day:
                return self._topic(of_day[-1])
        if (owner := self._owner_of_part()) is not None:
            return owner
        if self.turn.focus and (self.turn.focus != self.memory.focus or not topics):
            return self.turn.focus
        if topics and not (self.memory.shown_last and len(self.memory.shown) == 1):
            return self._topic(topics[-1])
        if len(self.memory.shown) == 1:
            return self.memory.shown[0]
        return self._only_or_ask()

    def _owner_of_part(self) -> str | None:
        """Of two that were compared, the one that alone has the channel that is named: "the oil pressure there"."""
        pair = self.memory.pair
        if not pair or pair[0] not in self.memory.topics[-2:]:
            return None
        has = [name for name in pair if match_name(self.reading, self.known.parts.get(name, []))]
        return has[0] if len(has) == 1 else None

    def _topic(self, topic: str) -> str:
        """A topic is a finding, or a sample that was not flagged: then the answer ends there."""
        if topic.startswith("F"):
            return topic
        return self.flagged(topic.removeprefix("sample "))

    def _described(self) -> str | None:
        """ "The one with the temperature", "the one in the corner": the finding that a list with that filter holds."""
        found = _THE_ONE.search(self.reading.plain)
        if not found:
            return None
        place = position_in(found["rest"])
        run = self.run()
        names = [] if place else self.parts_of(first_run(self.use("overview", run=run)) or "")
        part = None if place else match_name(replace(self.reading, plain=found["rest"], text=found["rest"]), names)
        if not place and not part:
            return None
        listed = self.try_("list_findings", run=run, position=place, part=part)
        fitting = listing(listed)
        if not fitting:
            self.end("nothing_matches", listed)
        if len(fitting) > 1 and self.asked.intent != "compare":
            self.end("which_finding", listed, names=self.pen.alternatives(fitting[:4]))
        return fitting[0]

    def _at_time(self, time: str) -> str:
        """The event that begins at a time of day, or the latest that began before it."""
        listed = self.use("list_findings", run=self.run(), limit=50, order="index")
        starts = {name: begins(View(listed, name))[11:16] for name in listing(listed)}
        begun = [name for name, start in starts.items() if start and start <= clock_of(time)]
        if not begun:
            self.end("time_none", listed)
        return max(begun, key=lambda name: starts[name])

    def _in_the(self, part: str) -> str:
        """The event that begins in a part of the day; of several, the answer asks which."""
        listed = self.use("list_findings", run=self.run(), limit=50, order="index")
        begin, end = DAY[part]
        names = [name for name in listing(listed) if begin <= begins(View(listed, name))[11:16] <= end]
        if not names:
            self.end("time_none", listed)
        if len(names) > 1:
            self.end("which_finding", listed, names=self.pen.alternatives(names[:4]))
        return names[0]

    def _of_two_pieces(self, topic: str) -> bool:
        """Whether "the other one" may be another channel or region of what is spoken of."""
        pieces = max(len(self.known.parts.get(topic, ())), len(self.known.regions.get(topic, ())))
        asks = self.asked.intent in ("blame", "repaired", "without", "expected", "where", "size")
        return "channel" in self.reading.concepts or (asks and pieces > 1)

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
        if len(names) > 1 and (part := self._part_of_run()):
            listed = self.try_("list_findings", run=self.run(), part=part)
            names = [name for name in listing(listed) if name != without] or names
        if len(names) == 1:
            return names[0]
        if not names:
            self.nothing_flagged(listed)
        some = [self.pen.finding(listed, name, short=True) for name in names[:4]]
        self.end("which_finding", listed, names=self.pen.alternatives(some))
        return None

    def _part_of_run(self) -> str | None:
        """The channel or feature that the question names, of those that the run's findings involve."""
        known = self.reading.words
        if "xchannel" not in known and not re.search(r"\b(?:of|with|in|about|the) [a-z]{3,}", self.reading.plain):
            return None
        run = first_run(self.use("overview", run=self.run()))
        return match_name(self.reading, self.parts_of(run)) if run else None

    def two(self) -> tuple[str, str]:
        """The two findings of a comparison."""
        seen = self.reading.mentions
        named = [*seen.findings, *(self.flagged(name) for name in seen.samples)]
        named += [self.at_place(place) for place in seen.places]
        if not named and len(seen.bare) >= 2:
            named = [self.flagged(name) for name in seen.bare[:2]]
        named += [one] if not named and (one := self._described()) else []
        if self.memory.pair and re.search(r"\b(?:former|latter)\b", self.reading.plain):
            named.insert(0, self.memory.pair[1 if "latter" in self.reading.plain else 0])
        named = list(dict.fromkeys(named))
        if len(named) >= 2:
            return named[0], named[1]
        if len(named) == 1:
            return self._partner(named[0])
        topic = (self.memory.topics or [""])[-1]
        if topic.startswith("F") and _OTHER_OF_RUN.search(self.reading.plain) and (other := self._of_same_run(topic)):
            return topic, other
        return self._last_two()

    def _of_same_run(self, topic: str) -> str:
        """ "The other monday one": of two findings of the run that the topic is of, the one that is not the topic."""
        described = self.use("describe_finding", finding=topic)
        run = View(described, topic)["run"]
        names = listing(self.use("list_findings", run=str(run.value))) if run is not None else []
        others = [name for name in names if name != topic]
        return others[0] if len(others) == 1 else ""

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


__all__ = ["Desk", "first_run", "listing"]
