"""Which run and which list of findings a question is about, and the findings of a list in the order of a measure.

Turns a reading and the conversation's memory into runs and lists of ids. Knows evidence, lists and measures; not
wording, single references or LangChain.
"""

from __future__ import annotations

import re
from typing import NoReturn

from assistant.evidence import Evidence
from assistant.llm.days import made_on, names_a_day
from assistant.llm.measures import Measure, fact_of, value_of
from assistant.llm.mentions import COUNTS
from assistant.llm.results import Finished, Results
from assistant.llm.view import View

_THAT_RUN = re.compile(r"\bthat (?:run|day|evening|night|morning|shift|batch)\b")
_MOST_RUNS = 7  # runs that are looked through for one of a day
_MOST_LOOKED_AT = 8  # findings of a list that are described one by one
_OF_THE_LIST = re.compile(
    r"\b(?:of|among|in|from|between) (?:these|those|them|the (?:list|two|three|four|five|xcount))\b|\b(?:those|"
    r"these|them)\b"
)
_COUNTED = re.compile(r"\bof (?:the |all |those |these )*(?P<count>two|three|four|five|six|seven|eight|nine|ten)\b")
_DESCRIBED = ("size", "length", "level")  # measures that a list does not tell


class Listed(Results):
    """Runs and lists."""

    # --- which list ---------------------------------------------------------------------------------------------

    def among(self) -> tuple[list[str], Evidence]:
        """The findings of the run, or those of the last list where the question points at it; and their list."""
        evidence = self.try_("list_findings", run=self.run(), limit=50)
        names = listing(evidence)
        if not names:
            self.nothing_flagged(evidence)
        shown = [name for name in self.memory.shown if name in names]
        if (count := _COUNTED.search(self.reading.plain)) and COUNTS.get(count["count"]) == len(names):
            return names, evidence
        if _OF_THE_LIST.search(self.reading.plain) and len(shown) > 1:
            return shown, evidence
        return names, evidence

    def views(self, names: list[str], measure: str) -> list[tuple[str, Evidence]]:
        """Each finding with evidence that tells the measure: the list itself, or a description of each."""
        listed = self.try_("list_findings", run=self.run(), limit=50)
        if measure not in _DESCRIBED or all(fact_of(View(listed, name), measure) for name in names):
            return [(name, listed) for name in names]
        names = names[:_MOST_LOOKED_AT]
        found = self.all([("describe_finding", {"finding": name}) for name in names])
        return list(zip(names, found, strict=True))

    def ranked(self, measure: Measure) -> list[tuple[str, Evidence]]:
        """The findings in question by a measure, the end that is meant first; those without it last."""
        names, _ = self.among()
        rows = self.views(names, measure.name)
        values = {name: value_of(View(one, name), measure.name) for name, one in rows}
        sign = -1.0 if measure.most else 1.0
        return sorted(rows, key=lambda row: (values[row[0]] is None, sign * (values[row[0]] or 0.0)))

    def nothing_flagged(self, evidence: Evidence) -> NoReturn:
        """Finish by saying that the run has no findings."""
        samples = next((fact for fact in evidence.facts if fact.field == "samples"), None)
        run = first_run(evidence)
        if not self.say("nothing_flagged_of", evidence, run=run, samples=samples):
            self.say("nothing_flagged", evidence)
        raise Finished

    # --- which run ----------------------------------------------------------------------------------------------

    def run(self) -> str | None:
        """The run that the question names; None for the latest."""
        if self.reading.mentions.runs:
            return self.reading.mentions.runs[0]
        if day := self.day_run():
            return day if day != self.known.latest_run else None
        if (
            "since" not in self.reading.words
            and re.search(r"\b(?:previous|earlier|yesterday|last but one|before)\b", self.reading.plain)
            and re.search(r"\b(?:run|batch|shift|yesterday)\b|before that$", self.reading.plain)
        ):
            latest = first_run(self.use("overview"))
            if latest and int(latest[1:]) > 1:
                return f"R{int(latest[1:]) - 1}"
        if _THAT_RUN.search(self.reading.plain):
            return self.spoken_run
        if "recent" in self.reading.concepts or self.asked.intent == "overview":
            return None
        return self.spoken_run

    def day_run(self) -> str | None:
        """The run made on the day that the question names, None where it names none or no run was made on it."""
        words = self.reading.plain
        if not names_a_day(words) or "since" in self.reading.words:
            return None
        latest = first_run(newest := self.use("overview")) or "R1"
        for number in range(int(latest[1:]), max(0, int(latest[1:]) - _MOST_RUNS), -1):
            run = f"R{number}"
            evidence = newest if run == latest else self.try_("overview", run=run)
            facts = {fact.field: str(fact.value) for fact in evidence.facts if fact.subject == run}
            if made_on(words, facts.get("source", ""), facts.get("created", "")):
                self.known.latest_run = latest
                return run
        return None

    @property
    def spoken_run(self) -> str | None:
        """The run that the conversation is about; None where that is, or may be, the latest."""
        about, latest = self.memory.run, self.memory.latest_run
        return about if about in self.memory.asked_runs or (about and latest and about != latest) else None


def listing(evidence: Evidence) -> list[str]:
    """The findings that a list result holds, in its order."""
    names = [fact.subject for fact in evidence.facts if re.fullmatch(r"F\d+", fact.subject)]
    return list(dict.fromkeys(names))


def first_run(evidence: Evidence) -> str | None:
    """The first run that a result is about."""
    return next((fact.subject for fact in evidence.facts if re.fullmatch(r"R\d+", fact.subject)), None)
