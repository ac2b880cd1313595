"""What the narrator has at hand for one question: results, calls still needed, and the sentences written so far.

A skill (see `skills`) runs from its beginning each time and asks for results; where one is not there yet `Need` is
raised with the call to make, and the skill runs again when the result has come. Knows tool names and evidence; not
wording or LangChain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from assistant.evidence import Evidence
from assistant.llm.dialogue import Memory, Turn
from assistant.llm.interpret import Ask
from assistant.llm.phrases import Pen
from assistant.llm.understand import Reading

Call = tuple[str, dict[str, Any]]
MOST_CALLS = 12


class Need(Exception):  # noqa: N818 - not an error: the calls that a skill waits for
    """Results that are not there yet."""

    def __init__(self, calls: Sequence[Call]):
        super().__init__(f"needs {len(calls)} results")
        self.calls = list(calls)


class Finished(Exception):  # noqa: N818 - not an error: the answer is complete
    """The answer was written before the skill came to its end."""


class Results:
    """One question at work. `defaults` maps each offered tool to the default values of its arguments."""

    def __init__(self, turn: Turn, memory: Memory, asked: Ask, defaults: Mapping[str, Mapping[str, Any]]):
        self.turn = turn
        self.memory = memory
        self.asked = asked
        self.defaults = defaults
        self.pen = Pen(turn.question)
        self.used: list[Evidence] = []  # results that this question asked for
        self.told: list[object] = []  # tellers that have spoken (see skills.facts)
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


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, int | float) and isinstance(two, int | float):
        return abs(one - two) <= 1e-3 * max(abs(one), abs(two))
    return bool(one == two)
