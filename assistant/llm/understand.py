"""Understands one question by itself: language, what it names, and which intent it comes nearest to.

Turns text into a `Reading`. The vocabulary and the example questions are data (`prompts/narrator/lexicon.yaml` and
`intents.yaml`); knows spelling, synonyms and nearest examples, not the conversation, the tools or any data.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from assistant.llm import mentions
from assistant.llm.mentions import Mentions
from assistant.llm.nearest import Nearest
from assistant.llm.spelling import Speller

_WORD = re.compile(r"[a-z0-9][a-z0-9_'\-]*|[?]")
_POLITE = (  # "could you please list ...", "I would like you to ..."
    r"(?:i mean(?:t)? |(?:let us |we )?(?:start|begin|go on|carry on|continue|proceed) with )?"
    r"(?:(?:can|could|would|will) (?:you|we) (?:please |kindly |just )?(?=[a-z]{3,})(?!help\b|also\b|still\b)"
    r"|i (?:would like|want|need) you to |would you mind )?"
    r"(?:(?:(?:please |just )?(?:tell|remind) (?:me|us)|(?:do|can|could) you (?:know|tell me|say|happen to know|see)"
    r"|i (?:would like|want|need|wish) to (?:know|understand|see)|i (?:wonder|was wondering|am wondering|am curious)"
    r"|any idea|any clue|no idea|let me know) (?=(?:why|where|when|what|which|how|if|whether|who)\b))?"
)
_SHORT = re.compile(r"(why|where|when|how|who|what|which|that|this|there|it|they|we|you|he|she)'(d|ll|re|ve|s)")
_SUPERLATIVE = re.compile(  # "the dodgiest one", but not "interest" or "nearest"
    r"(?!(?:inter|requ|sugg|prot|fore|harv|hon|mod|cont|inv|arr|dig|long|short|latt?|old|new|earli|near|clos)est)"
    r"[a-z]{3,}(?:i|[^aeiou])est"
)
_LONGEST_PHRASE = 5
_PLACEHOLDERS = frozenset(mentions.PLACEHOLDERS)


@dataclass(frozen=True)
class Reading:
    """What one question says, taken by itself."""

    text: str  # as typed
    language: str  # "English", "German", ..., or "" where no word was recognised
    words: tuple[str, ...]  # normalised, with placeholders for what is named
    concepts: frozenset[str]  # of the lexicon
    scores: tuple[tuple[str, float], ...]  # (intent, score), best first
    mentions: Mentions
    known: float  # share of the words that the lexicon knows, 0..1
    plain: str  # folded text with contractions written out and spelling corrected, names still in it

    @property
    def intent(self) -> str:
        """The nearest intent."""
        return self.scores[0][0]

    @property
    def score(self) -> float:
        """How near it is: about 1 is an example word by word."""
        return self.scores[0][1]

    @property
    def asks(self) -> bool:
        """Whether the sentence is put as a question rather than as a statement or an order."""
        return self.text.rstrip().endswith("?") or bool(self.words and self.words[0] in _lexicon().openers)

    def best(self, *intents: str) -> str:
        """The nearest of some intents."""
        return next(name for name, _ in self.scores if name in intents)


@lru_cache(maxsize=512)
def understand(text: str, names: tuple[str, ...] = ()) -> Reading:
    """Read one question; `names` are the channels and features that it may name."""
    language, plain = normalise(text)
    own = _features(_words(mentions.find(plain)[1], names), language) if language in _translations() else None
    plain = translated(plain, language)
    seen, rest = mentions.find(plain)
    words = _words(rest, names)
    features, concepts, known = _features(words, "English")
    if own is not None:
        features, concepts = features | {key for key in own[0] if key[0] == "c"}, concepts | own[1]
    return Reading(text, language, words, concepts, _nearest().scores(features), seen, known, plain)


def _words(text: str, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The words of a text without courtesies, each name of a channel as the same placeholder."""
    text = _lexicon().courtesy.sub("", text)
    return tuple(_WORD.findall(_named(names).sub(" xchannel ", text)))


@lru_cache(maxsize=64)
def _named(names: tuple[str, ...]) -> re.Pattern[str]:
    """Matches the names of channels: those of the examples, and given ones that are no words with a meaning here."""
    lexicon = _lexicon()
    own = {re.sub(r"[_-]", " ", fold(name)) for name in names}
    found = lexicon.channels | {name for name in own if name and name not in lexicon.phrases["English"]}
    spelled = sorted((re.escape(name).replace(r"\ ", "[ _-]") for name in found), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(spelled)})(?![\w-])")


def fold(text: str) -> str:
    """Lower case, no accents, plain quotation marks, single spaces."""
    text = (
        text.lower()
        .replace("ß", "ss")
        .replace("’", "'")
        .replace("‘", "'")
        .replace("–", "-")
        .replace("—", " - ")
        .replace("¿", "")
        .replace("¡", "")
    )
    text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return re.sub(r"\s+", " ", text).strip()


def normalise(text: str) -> tuple[str, str]:
    """The language, and the folded text with contractions written out and spelling put right."""
    words = re.split(r"([^a-z0-9_.'\-/\\]+)", fold(text))
    words = [_lexicon().contractions.get(word.rstrip("."), _written_out(word)) if word else word for word in words]
    language = _language(set(_WORD.findall(" ".join(words))) - {"?"})
    if language == "English":
        words = [_lexicon().speller.correct(word) for word in words]
    return language, re.sub(r"\s+", " ", "".join(words)).strip()


def translated(text: str, language: str) -> str:
    """A folded text word by word in English, as far as its words are known; English stays as it is."""
    words = _translations().get(language)
    return words[0].sub(lambda found: words[1][found[0]], text) if words else text


@cache
def _translations() -> dict[str, tuple[re.Pattern[str], dict[str, str]]]:
    """For each other language: what matches its words, the longest first, and their English."""
    found = {}
    for name, text in _read("translations.yaml").items():
        pairs = dict(one.strip().split("=") for one in text.split("|"))
        spelled = sorted((re.escape(word) for word in pairs), key=len, reverse=True)
        found[name] = re.compile(rf"(?<![\w-])(?:{'|'.join(spelled)})(?![\w-])"), pairs
    return found


def _written_out(word: str) -> str:
    """ "why'd" as "why did", "there'll" as "there will"."""
    found = _SHORT.fullmatch(word)
    if not found:
        return word
    full = {"ll": "will", "re": "are", "ve": "have", "s": "is"}.get(found[2]) or (
        "did" if found[1] in ("why", "where", "when", "how", "who") else "would"
    )
    return f"{found[1]} {full}"


def knows(word: str) -> bool:
    """Whether a word is an ordinary one of the vocabulary rather than a name."""
    return word in _lexicon().english


def connectives() -> frozenset[str]:
    """Words that only tie a follow-up to what was said before."""
    return _lexicon().connectives


def left_out() -> float:
    """Share of the example questions that the other examples put under the right intent."""
    return _nearest().left_out()


@cache
def intents() -> dict[str, dict[str, Any]]:
    """The intents of `intents.yaml`: examples, and whether an intent changes the store."""
    return _read("intents.yaml")


def _language(words: set[str]) -> str:
    """The language whose common words are most, if they are at least as many as the English ones; "" for none."""
    lexicon = _lexicon()
    words = {word for word in words if not any(char.isdigit() for char in word)}
    votes = {name: len(words & (markers | _foreign()[name])) for name, markers in lexicon.markers.items()}
    english = len(words & lexicon.english)
    best = max(votes, key=lambda name: votes[name])
    if votes[best] >= max(1, english) and (votes[best] > 1 or not english):
        return best
    return "English" if words else ""


@cache
def _foreign() -> dict[str, frozenset[str]]:
    """The words of each other language that are none in English."""
    known = _lexicon().english
    return {
        name: frozenset(word for word in pairs if word not in known) for name, (_, pairs) in _translations().items()
    }


def _features(words: tuple[str, ...], language: str) -> tuple[set[str], frozenset[str], float]:
    """Features for the nearest examples, the concepts among them, and the share of known words."""
    lexicon = _lexicon()
    phrases = lexicon.phrases.get(language, lexicon.phrases["English"])
    concepts: set[str] = set()
    known, total, position = 0, 0, 0
    while position < len(words):
        length, found = _longest(words, position, phrases)
        if language == "English" and _SUPERLATIVE.fullmatch(words[position]) and not found:
            found = ("worst",)  # "the dodgiest one"
        concepts.update(found)
        if words[position] not in _PLACEHOLDERS and words[position] != "?":
            total += 1
            known += bool(found) or words[position] in lexicon.filler
        position += length
    stems = [lexicon.stem(word) for word in words]
    chain = ["^", *(stem for stem in stems if stem != "?"), "?" if "?" in words else "$"]
    features = {f"c:{concept}" for concept in concepts} | {f"w:{stem}" for stem in stems}
    features |= {f"b:{one} {two}" for one, two in itertools.pairwise(chain)}
    return features | _shape(words), frozenset(concepts), known / total if total else 1.0


def _shape(words: tuple[str, ...]) -> set[str]:
    """How the sentence is built: names something, points back, opens like a question, how long it is."""
    shape = {
        "f:named" if _PLACEHOLDERS.intersection(words) else "f:nothing named",
        f"f:length {min(len(words), 6) // 2}",
    }
    if words:
        shape.add("f:opens as question" if words[0] in _lexicon().openers else "f:opens as statement")
    return shape | ({"f:points back"} if _lexicon().pointers.intersection(words) else set())


def _longest(words: tuple[str, ...], position: int, phrases: dict[str, tuple[str, ...]]) -> tuple[int, tuple[str, ...]]:
    """Length and concepts of the longest phrase that begins here; concepts of its single words are added."""
    for length in range(min(_LONGEST_PHRASE, len(words) - position), 1, -1):
        inside = words[position : position + length]
        if " ".join(inside) in phrases:
            single = [name for word in inside for name in phrases.get(word, ())]
            return length, (*phrases[" ".join(inside)], *single)
    return 1, phrases.get(words[position], ())


class _Lexicon:
    """The vocabulary of `lexicon.yaml`, folded."""

    def __init__(self, data: dict[str, Any], examples: list[str]):
        self.contractions = {fold(key): str(value) for key, value in data["contractions"].items()}
        english: dict[str, tuple[str, ...]] = {}
        for concept, phrases in data["concepts"].items():
            for phrase in phrases:
                english[_key(phrase)] = (*english.get(_key(phrase), ()), concept)
        self.phrases = {"English": english}
        self.markers: dict[str, set[str]] = {}
        for name, language in data["languages"].items():
            self.markers[name] = {fold(str(word)) for word in language["markers"]}
            self.phrases[name] = {_key(key): (str(value),) for key, value in language["words"].items()}
        self.channels = frozenset(fold(str(name)) for name in data["channels"])
        bare, marked = ("|".join(str(one) for one in data[key]) for key in ("interjections", "remarks"))
        self.courtesy = re.compile(
            rf"^\s*(?:(?:(?:{bare})\b[\s,!.:;-]+|(?:{marked})\b\s*[,!.:;-]+\s*)(?=\S))*"
            + _POLITE  # nothing is said by these
        )
        self.openers, self.pointers, self.connectives = (
            frozenset(str(word) for word in data[key]) for key in ("openers", "pointers", "connectives")
        )
        self.filler = {fold(str(word)) for word in data["filler"]}
        self.english = {word for phrase in english for word in phrase.split()} | self.filler
        self.english |= {word for example in examples for word in re.findall(r"[a-z]+", fold(example))}
        meant = {word for phrase, names in english.items() if names for word in phrase.split()}
        contracted = {word for key, value in self.contractions.items() for word in (key, *value.split())}
        named = _fold_all((*mentions.NOUNS, *mentions.ORDINALS))
        self.speller = Speller(meant | contracted | named, self.english)

    @staticmethod
    @cache
    def stem(word: str) -> str:
        """Plural and tense endings off: enough to let "findings" meet "finding"."""
        for ending in ("ings", "ing", "ies", "es", "ed", "s"):
            if word.endswith(ending) and len(word) - len(ending) >= 4 and not word.endswith("ss"):
                return word[: -len(ending)] + ("y" if ending == "ies" else "")
        return word.removesuffix("e") if len(word) > 4 else word


def _fold_all(words: Iterable[str]) -> set[str]:
    return {fold(word) for word in words}


def _key(phrase: Any) -> str:
    return " ".join(_WORD.findall(fold(str(phrase))))


def _read(name: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (resources.files("prompts") / "narrator" / name).read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=loader))  # noqa: S506 - a safe loader either way


@cache
def _lexicon() -> _Lexicon:
    return _Lexicon(_read("lexicon.yaml"), [str(text) for intent in intents().values() for text in intent["examples"]])


@cache
def _nearest() -> Nearest:
    """Learned from the examples once and kept on this machine, by a name that changes with what it is learned from."""
    kept = _kept_as()
    if kept.is_file():
        return Nearest.load(kept)
    learned = _learned()
    with suppress(OSError):  # a home that cannot be written to costs a few seconds at each start, no more
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".npz", dir=kept.parent)
        os.close(handle)
        learned.save(Path(name))
        os.replace(name, kept)
    return learned


def _kept_as() -> Path:
    """Where the learned intents are kept: named by the vocabulary, the examples and the code that reads them."""
    here = Path(__file__).parent
    sources = [resources.files("prompts") / "narrator" / name for name in ("intents.yaml", "lexicon.yaml")]
    sources += [here / name for name in ("understand.py", "nearest.py", "mentions.py", "spelling.py")]
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "anomaly-assistant" / f"intents-{digest}.npz"


def _learned() -> Nearest:
    rows = [(name, str(text)) for name, intent in intents().items() for text in intent["examples"]]
    found = [_features(_words(mentions.find(normalise(text)[1])[1]), "English")[0] for _, text in rows]
    return Nearest([name for name, _ in rows], found)
