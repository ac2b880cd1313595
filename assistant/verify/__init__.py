"""Checks an answer against the evidence that its sentences cite, before a reader sees it.

Pure Python over text and facts: knows no language model, store, detector or page, and is fast enough for every draft.
A number is right only on the finding, part, field and unit that its sentence gives it: 0.0004 may be in the evidence
and still be the p-value of another finding. Ids, names, places, times, "below alpha", "returns to normal", "the most
anomalous" and the like are held against the facts too. Problems come in words that a model can act on. A number may be
written as a reference, `{{E7.p_value}}`: it is filled in from the evidence, then checked like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from assistant.evidence import Claim, Evidence
from assistant.verify import references
from assistant.verify.binding import Binder
from assistant.verify.causes import actor_problem, cause_problem
from assistant.verify.checks import FOLLOWS, everyone, is_id, offers, problems_of, states_facts
from assistant.verify.facts import Pool, Read, aliases, plain
from assistant.verify.relations import asserts
from assistant.verify.scene import Scene, look
from assistant.verify.sentences import Sentence, join, marked, split

__all__ = ["Problem", "Verdict", "Verifier", "verify"]

_TRIED = 8  # how many other results are tried when a sentence does not match the ones it cites


@dataclass(frozen=True)
class Problem:
    """A sentence that does not match its evidence."""

    sentence: int  # from 1
    text: str
    evidence: tuple[str, ...]  # as cited
    reasons: tuple[str, ...]
    remedy: tuple[str, ...] = ()  # evidence that does hold all of it, where there is exactly one candidate

    def __str__(self) -> str:
        return f"sentence {self.sentence}: {'; '.join(self.reasons)}"


@dataclass(frozen=True)
class Verdict:
    """What of an answer holds. `text` is the answer without the sentences that do not."""

    sentences: tuple[Sentence, ...]
    problems: tuple[Problem, ...]
    factual: frozenset[int] = frozenset()  # numbers of the sentences that state facts
    facts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # by sentence: "E7:F12.p_value", ...

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The sentences that hold, with the evidence they cite and the facts that their numbers are."""
        return tuple(Claim(s.text, s.cites, facts=self.facts.get(i, ())) for i, s in self._numbered())

    @property
    def removed(self) -> tuple[Claim, ...]:
        """The sentences that do not hold, with the reason."""
        return tuple(Claim(p.text, p.evidence, "; ".join(p.reasons)) for p in self.problems)

    @property
    def text(self) -> str:
        """The sentences that hold, with their marks, in their lines."""
        return join(self._kept())

    @property
    def pieces(self) -> tuple[str, ...]:
        """`text`, sentence by sentence, for streaming: joined they give `text`."""
        whole, pieces, position = self.text, [], 0
        for sentence in self._kept():
            end = whole.index(marked(sentence), position) + len(marked(sentence))
            pieces.append(whole[position:end])
            position = end
        return tuple(pieces)

    @property
    def supported(self) -> int:
        """How many of the sentences that hold state facts."""
        return len(self.factual - {problem.sentence for problem in self.problems})

    def recited(self) -> Verdict:
        """The verdict with citations put right where one result of the conversation holds the whole sentence."""
        remedies = {problem.sentence: problem.remedy for problem in self.problems if problem.remedy}
        sentences = tuple(replace(s, cites=remedies.get(i, s.cites)) for i, s in enumerate(self.sentences, start=1))
        return replace(
            self, sentences=sentences, problems=tuple(p for p in self.problems if p.sentence not in remedies)
        )

    def _kept(self) -> list[Sentence]:
        return [sentence for _, sentence in self._numbered()]

    def _numbered(self) -> list[tuple[int, Sentence]]:
        bad = {problem.sentence for problem in self.problems}
        kept = [(i, s) for i, s in enumerate(self.sentences, start=1) if i not in bad]
        return [(i, s) for at, (i, s) in enumerate(kept) if not _announces_nothing(s, [k for _, k in kept[at + 1 :]])]


def verify(text: str, evidence: Mapping[str, Evidence], asked: str = "") -> Verdict:
    """Check every sentence of an answer.

    Args:
        text: the answer, with marks such as [E7].
        evidence: all results that this conversation may cite, by id.
        asked: the person's own words; ids in them may be repeated when saying that something is not known.
    """
    return Verifier().verify(text, evidence, asked)


class Verifier:
    """`verify` for one conversation: reads each result only once."""

    def __init__(self) -> None:
        self._read: dict[str, Read] = {}

    def verify(self, text: str, evidence: Mapping[str, Evidence], asked: str = "") -> Verdict:
        """See the function `verify`."""
        for name, one in evidence.items():
            if name not in self._read or self._read[name].evidence is not one:
                self._read[name] = Read(one)
        sentences = split(references.fill(text, evidence))
        return _Check({name: self._read[name] for name in evidence}, asked).verdict(sentences)


class _Check:
    """One answer against one conversation's evidence."""

    def __init__(self, read: dict[str, Read], asked: str) -> None:
        self.read = read
        self.asked = plain(asked)
        self.names = aliases(one.evidence for one in read.values())
        self.parts = {name: kind for one in read.values() for name, kind in one.parts.items()}
        self.pools: dict[tuple[str, ...], Pool] = {}
        self.context: frozenset[str] = frozenset()

    def verdict(self, sentences: list[Sentence]) -> Verdict:
        problems, factual, facts = [], set(), {}
        for number, sentence in enumerate(sentences, start=1):
            states, reasons, scene = self.check(sentence)
            if states:
                factual.add(number)
            if reasons:
                remedy = self.remedy(sentence, scene)
                if remedy:
                    reasons.append(f"{', '.join(remedy)} holds it: cite [{', '.join(remedy)}]")
                problems.append(Problem(number, sentence.text, sentence.cites, tuple(reasons), remedy))
            elif states:
                facts[number] = self._bound(sentence, scene)
            self.remember(scene)
        return Verdict(tuple(sentences), tuple(problems), frozenset(factual), facts)

    def _bound(self, sentence: Sentence, scene: Scene) -> tuple[str, ...]:
        """The fact behind each number of a sentence that holds, as "E7:F12.p_value"; derived numbers have none."""
        binder = Binder(scene, self.pool(sentence.cites))
        found = [next(iter(binder.facts_of(number)), None) for number in scene.numbers]
        named = [f"{k.evidence}:{k.fact.subject}.{k.fact.field}" for k in found if k is not None and k.fact.subject]
        return tuple(dict.fromkeys(named))

    def check(self, sentence: Sentence) -> tuple[bool, list[str], Scene]:
        """(whether it states facts, what is wrong with it, the sentence taken apart)."""
        unfilled = references.problems(sentence.text, {name: one.evidence for name, one in self.read.items()})
        unknown = [name for name in sentence.cites if name not in self.read]
        cites = tuple(name for name in sentence.cites if name in self.read) or tuple(self.read)
        pool = self.pool(cites)
        context = () if FOLLOWS.search(sentence.text) else self.context & everyone(pool)
        elsewhere = {name: kind for name, kind in self.parts.items() if name not in pool.parts}
        scene = look(sentence.bare, pool, self.names, context, elsewhere)
        if unfilled:
            return True, unfilled, scene
        if unknown:
            there = f"there is {', '.join(list(self.read)[-10:]) or 'none yet'}"
            return True, [f"there is no evidence {', '.join(unknown)} in this conversation; {there}"], scene
        states = states_facts(scene)
        if self._quotes(sentence):
            return states, [], scene
        if offers(sentence.bare):
            return False, self._unknown_ids(scene) if states else [], scene
        made_up = (actor_problem(scene, pool, self.asked), cause_problem(scene, pool, self.asked))
        causes = [problem for problem in made_up if problem]
        if sentence.cites or (not states and asserts(sentence.bare)):
            found = [*problems_of(scene, pool), *causes]
            said = states or (asserts(sentence.bare) and bool(sentence.cites))
            return said or bool(found), found, scene
        if causes or not states or self._only_repeats(sentence, scene):
            return bool(causes), causes, scene
        return True, ["it states facts but cites no evidence"], scene

    def remedy(self, sentence: Sentence, scene: Scene) -> tuple[str, ...]:
        """The evidence that holds the whole sentence, where it is clear which: the sentence names its subject, or just
        one result of the conversation fits."""
        others = [name for name in reversed(self.read) if (name,) != sentence.cites and self._may_hold(name, scene)][
            :_TRIED
        ]
        candidates: list[tuple[str, ...]] = [(name,) for name in others]
        if scene.bases and sentence.cites and all(name in self.read for name in sentence.cites):
            candidates += [(*sentence.cites, name) for name in others[:3] if name not in sentence.cites]
        fitting = []
        for cites in candidates:
            states, reasons, _ = self.check(replace(sentence, cites=cites))
            if states and not reasons:
                if scene.bases:
                    return cites
                fitting.append(cites)
        return fitting[0] if len(fitting) == 1 else ()

    def _may_hold(self, name: str, scene: Scene) -> bool:
        """A quick look whether a result knows anything of what a sentence names."""
        words = self.read[name].words
        return not scene.bases or any(plain(base) in words for mention in scene.bases for base in mention.names)

    def remember(self, scene: Scene) -> None:
        """Keep whom a sentence spoke of, for "its" and "it" in the next."""
        bases = [m for m in scene.bases if any(n[0] in "Fs" for n in m.names)]
        if len({m.names for m in bases}) == 1:
            self.context = bases[0].names
        elif bases:
            self.context = frozenset()

    def pool(self, cites: tuple[str, ...]) -> Pool:
        if cites not in self.pools:
            self.pools[cites] = Pool(self.read[name] for name in cites)
        return self.pools[cites]

    def _quotes(self, sentence: Sentence) -> bool:
        """Whether the sentence repeats a note (a guide, an error) of its evidence word for word."""
        said = plain(sentence.bare).strip(" .!")
        notes = [plain(self.read[name].evidence.note) for name in sentence.cites]
        return len(said) > 20 and any(said in note for note in notes)

    def _unknown_ids(self, scene: Scene) -> list[str]:
        pool = self.pool(tuple(self.read))
        found = [scene.text[m.start : m.end] for m in scene.bases]
        return [f"'{name}' is in no evidence of this conversation" for name in found
                if not pool.says(name) and plain(name) not in self.asked and is_id(name)]  # fmt: skip

    def _only_repeats(self, sentence: Sentence, scene: Scene) -> bool:
        """Whether a sentence without marks says no more than that something the person named is not known."""
        return (
            bool(self.asked)
            and not (scene.numbers or scene.moments or scene.places)
            and all(plain(scene.text[m.start : m.end]) in self.asked for m in (*scene.bases, *scene.parts))
            and re.search(r"\b(?:cannot|can't|do not|don't|not know|no|unknown|could not)\b", sentence.text, re.I)
            is not None
        )


def _announces_nothing(sentence: Sentence, following: list[Sentence]) -> bool:
    """A line that ends in a colon, whose list was dropped."""
    if not sentence.text.rstrip("*_ ").endswith(":") or sentence.text.startswith("|"):
        return False
    return (
        not following
        or following[0].line == sentence.line
        or not (following[0].prefix.strip() or following[0].text.startswith("|"))
    )
