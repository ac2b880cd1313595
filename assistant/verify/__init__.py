"""Checks an answer against the evidence that its sentences cite, before a reader sees it.

Pure Python over text and facts: knows no language model, store, detector or page, and is fast enough for every draft.
A number is right only on the finding, part, field and unit that its sentence gives it: 0.0004 may be in the evidence
and still be the p-value of another finding. Ids, names, places, times, "below alpha", "returns to normal", "the most
anomalous" and the like are held against the facts too. Problems come in words that a model can act on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from assistant.evidence import Claim, Evidence
from assistant.verify.binding import Binder
from assistant.verify.facts import Known, Pool, Read, aliases, plain
from assistant.verify.reading import Moment, Place, place_words
from assistant.verify.relations import relation_problems
from assistant.verify.scene import Scene, look, nearest_after, nearest_before, trailing
from assistant.verify.sentences import Sentence, join, marked, split

__all__ = ["Problem", "Verdict", "Verifier", "verify"]

_OFFER = re.compile(
    r"(?:shall|should|would you|do you|did you|which|what|who|could|can|may|want|is it|are you|how|if you|you (?:can|could|may)|ask|try|"
    r"please|say|for example|let me know|tell me)\b",
    re.I,
)
_FOLLOWS = re.compile(r"\b(?:other|another|second|next|remaining|both|each|all|they|these|range|between|them|respectively)\b", re.I)
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

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The sentences that hold, with the evidence they cite."""
        return tuple(Claim(s.text, s.cites) for s in self._kept())

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
        return replace(self, sentences=sentences, problems=tuple(p for p in self.problems if p.sentence not in remedies))

    def _kept(self) -> list[Sentence]:
        bad = {problem.sentence for problem in self.problems}
        kept = [s for i, s in enumerate(self.sentences, start=1) if i not in bad]
        return [s for i, s in enumerate(kept) if not _announces_nothing(s, kept[i + 1 :])]


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
        return _Check({name: self._read[name] for name in evidence}, asked).verdict(split(text))


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
        problems, factual = [], set()
        for number, sentence in enumerate(sentences, start=1):
            states, reasons, scene = self.check(sentence)
            if states:
                factual.add(number)
            if reasons:
                remedy = self.remedy(sentence, scene)
                if remedy:
                    reasons.append(f"{', '.join(remedy)} holds it: cite [{', '.join(remedy)}]")
                problems.append(Problem(number, sentence.text, sentence.cites, tuple(reasons), remedy))
            self.remember(scene)
        return Verdict(tuple(sentences), tuple(problems), frozenset(factual))

    def check(self, sentence: Sentence) -> tuple[bool, list[str], Scene]:
        """(whether it states facts, what is wrong with it, the sentence taken apart)."""
        unknown = [name for name in sentence.cites if name not in self.read]
        cites = tuple(name for name in sentence.cites if name in self.read) or tuple(self.read)
        pool = self.pool(cites)
        context = () if _FOLLOWS.search(sentence.text) else self.context & _everyone(pool)
        elsewhere = {name: kind for name, kind in self.parts.items() if name not in pool.parts}
        scene = look(sentence.bare, pool, self.names, context, elsewhere)
        if unknown:
            there = f"there is {', '.join(list(self.read)[-10:]) or 'none yet'}"
            return True, [f"there is no evidence {', '.join(unknown)} in this conversation; {there}"], scene
        states = _states_facts(scene)
        if not states or self._quotes(sentence):
            return states, [], scene
        if _offers(sentence.bare):
            return False, self._unknown_ids(scene), scene
        if not sentence.cites:
            return (False, [], scene) if self._only_repeats(sentence, scene) else (True, ["it states facts but cites no evidence"], scene)
        return True, problems_of(scene, pool), scene

    def remedy(self, sentence: Sentence, scene: Scene) -> tuple[str, ...]:
        """The evidence that holds the whole sentence, where it is clear which: the sentence names its subject, or just
        one result of the conversation fits."""
        others = [name for name in reversed(self.read) if (name,) != sentence.cites and self._may_hold(name, scene)][:_TRIED]
        candidates: list[tuple[str, ...]] = [(name,) for name in others]
        if sentence.cites and all(name in self.read for name in sentence.cites):
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
                if not pool.says(name) and plain(name) not in self.asked and not _numbered(name)]  # fmt: skip

    def _only_repeats(self, sentence: Sentence, scene: Scene) -> bool:
        """Whether a sentence without marks says no more than that something the person named is not known."""
        return (
            bool(self.asked)
            and not (scene.numbers or scene.moments or scene.places)
            and all(plain(scene.text[m.start : m.end]) in self.asked for m in (*scene.bases, *scene.parts))
            and re.search(r"\b(?:cannot|can't|do not|don't|not know|no|unknown|could not)\b", sentence.text, re.I) is not None
        )


def problems_of(scene: Scene, pool: Pool) -> list[str]:
    """Everything in one cited sentence that its evidence does not hold."""
    binder = Binder(scene, pool)
    cited = pool.cited
    found = [f"'{scene.text[m.start : m.end]}' is not in {cited}" for m in scene.bases if not _is_known(m.names, scene, m.start, m.end, pool)]
    found += [f"'{name}' is not in {cited}" for name, _, _ in scene.quoted if not pool.says(name)]
    found += [f"'{scene.text[m.start : m.end]}' is not in {cited}" for m in scene.parts
              if m.kind != "place" and not any(pool.says(name) for name in m.names)]  # fmt: skip
    found += [problem for part in scene.parts if (problem := _wrong_owner(part.names, part.start, scene, pool))]
    found += [problem for place in scene.places if (problem := _place_problem(place, scene, pool))]
    found += [problem for moment in scene.moments if (problem := _moment_problem(moment, scene, pool))]
    found += [problem.replace("the cited evidence", cited) for number in scene.numbers if (problem := binder.number_problem(number))]
    found += [problem for text in _texts(scene, pool) if (problem := text)]
    return list(dict.fromkeys(found + relation_problems(binder)))


def _states_facts(scene: Scene) -> bool:
    """Whether a sentence holds anything that can be looked up."""
    counted = [n for n in scene.numbers if n.kind != "ordinal"]
    return bool(counted or scene.bases or scene.moments or scene.places or scene.parts or scene.quoted)


def _offers(text: str) -> bool:
    """Whether a sentence asks or proposes instead of stating: "Shall I repair region 1?"."""
    return (text.endswith("?") and _OFFER.match(text) is not None) or re.match(r"(?:you can|you could|you may|ask|try|say)\b", text, re.I) is not None


def _is_known(names: frozenset[str], scene: Scene, start: int, end: int, pool: Pool) -> bool:
    return any(pool.says(name.removeprefix("sample ")) or pool.says(name) for name in names) or pool.says(scene.text[start:end])


def _wrong_owner(names: frozenset[str], start: int, scene: Scene, pool: Pool) -> str:
    """A region or channel that the evidence holds, but for none of the findings that the sentence names."""
    owners = {name for m in scene.bases for name in m.names} or scene.context
    having = [k for k in pool.known if k.part in names]
    if not owners or not having or any(k.bases & owners or k.level == "run" for k in having):
        return ""
    if any(name in str(k.fact.value).split(", ") for k in pool.texts for name in names if k.bases & owners):
        return ""
    return f"'{sorted(names)[0]}' is a part of {sorted(having[0].bases)[0]} in {having[0].evidence}, not of what the sentence names"


def _place_problem(place: Place, scene: Scene, pool: Pool) -> str:
    parts = nearest_before([m for m in scene.parts if m.kind in ("region", "interval")], place.start) or next(
        (m for m in scene.parts if m.kind == "region" and m.start >= place.end), None
    )
    findings = [m for m in scene.bases if any(n[0] in "Fs" for n in m.names)]
    owner = nearest_before(findings, place.start) or nearest_after(findings, place.end)
    owners = owner.names if owner else scene.context
    spots = [k for k in pool.texts if k.fact.field in ("position", "place") and (not owners or k.bases & owners)]
    spots = [k for k in spots if not parts or k.part in parts.names] or spots
    if not spots and any(plain(place.text) in plain(str(v)) for one in pool.evidence for v in one.arguments.values()):
        return ""
    for known in spots:
        words = place_words(str(known.fact.value))
        if words == place.words or (place.words < words and "centre" not in place.words):
            return ""
    if any(plain(place.text.split(" the ")[-1]) in plain(one.note) for one in pool.evidence if one.note):
        return ""
    told = f"; {spots[0]}" if spots else ""
    return f"'{place.text}' is not in {pool.cited}{told}"


def _moment_problem(moment: Moment, scene: Scene, pool: Pool) -> str:
    owner = nearest_before(scene.bases, moment.start) or nearest_after(scene.bases, moment.end)
    owners = owner.names if owner else scene.context
    known = [k for k in pool.texts if k.moment and (not owners or k.bases & owners or k.level != "finding")]
    fitting = [k for k in known if all(getattr(k.moment, name) == value for name, value in moment.parts.items())]
    told = _edge(scene, moment)
    if any(not told or k.roles.get("edge", told) == told for k in fitting):
        return ""
    said = ", ".join(f"{k.fact.subject}.{k.fact.field} there is {k.fact.value}" for k in known[:2])
    if fitting:
        return f"'{moment.text}' is {fitting[0].fact.subject}.{fitting[0].fact.field}, not the {told}"
    if any(moment.text in one.note for one in pool.evidence):
        return ""
    return f"'{moment.text}' is not in {pool.cited}" + (f"; {said}" if said else "")


def _edge(scene: Scene, moment: Moment) -> str:
    """ "start" or "end", as the words before a time say."""
    ahead = scene.text[: moment.start]
    if re.search(r"\b(?:from|between|start(?:s|ed|ing)?(?: (?:at|on))?|beg[ai]n(?:s|ning)?(?: (?:at|on))?|since)\s*$", ahead, re.I):
        return "start"
    if re.search(r"\b(?:to|until|till|through|end(?:s|ed|ing)?(?: (?:at|on))?)\s*$|[–—]\s?$", ahead, re.I):
        return "end"
    return ""


def _texts(scene: Scene, pool: Pool) -> Iterable[str]:
    """Values in words (country NZ instead of DE): on the right side of observed and expected."""
    for known in pool.texts:
        if known.fact.field not in ("observed", "expected"):
            continue
        value = str(known.fact.value)
        for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", scene.text):
            told = _told(scene, match.start(), match.end())
            if told and told != known.fact.field and not _also(known, told, pool):
                yield f"'{value}' is {known.fact.subject}.{known.fact.field} in {known.evidence}, not {told}"


def _told(scene: Scene, start: int, end: int) -> str:
    marks = [m for m in scene.roles if m.kind == "seen"]
    after, before = nearest_after(trailing(scene, marks), end), nearest_before(marks, start)
    if after and re.fullmatch(r"[\s\"'”`]*(?:is|was|would be|would have been)?\s*", scene.text[end : after.start]):
        return next(iter(after.names))
    if before and re.fullmatch(r"[\s\"'“`:=]*(?:(?:is|was|value|of|a|an|the|be|to|country|as)\s)*[\s\"'“`]*", scene.text[before.end : start]):
        return next(iter(before.names))
    return ""


def _also(known: Known, told: str, pool: Pool) -> bool:
    return any(k.fact.field == told and k.fact.value == known.fact.value for k in pool.texts)


def _everyone(pool: Pool) -> set[str]:
    return {base for known in pool.known for base in known.bases}


def _numbered(name: str) -> bool:
    return not re.fullmatch(r"[RFIE]\d+", name)


def _announces_nothing(sentence: Sentence, following: list[Sentence]) -> bool:
    """A line that ends in a colon, whose list was dropped."""
    if not sentence.text.rstrip("*_ ").endswith(":") or sentence.text.startswith("|"):
        return False
    return not following or following[0].line == sentence.line or not (following[0].prefix.strip() or following[0].text.startswith("|"))
