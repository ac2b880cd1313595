"""Puts misspelt words right by the nearest word of a vocabulary, or by its consonants. Knows letters, nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable


class Speller:
    """Nearest word of the same first letter: one edit (4 letters: two neighbours swapped), two from 8 letters up."""

    def __init__(self, vocabulary: Iterable[str], known: Iterable[str] = ()):
        """`vocabulary` are the words that may be meant; `known` are further words that are right as they are."""
        self.vocabulary = {word for word in vocabulary if word.isalpha() and len(word) >= 4}
        self.known = self.vocabulary | set(known)
        self._near: dict[tuple[str, int], list[str]] = defaultdict(list)
        for word in sorted(self.vocabulary):
            self._near[word[0], len(word)].append(word)
        self._bones: dict[str, list[str]] = defaultdict(list)
        for word in sorted(self.vocabulary):
            self._bones[_bones(word)].append(word)
        self._memory: dict[str, str] = {}

    def correct(self, word: str) -> str:
        """The word, or its nearest neighbour where it is not known."""
        if len(word) < 3 or not word.isalpha() or word in self.known or self._inflected(word):
            return word
        if word not in self._memory:
            near = self._nearest(word) if len(word) > 3 else word
            self._memory[word] = near if near != word else self._without_vowels(word)
        return self._memory[word]

    def _inflected(self, word: str) -> bool:
        endings = ("s", "es", "ed", "d", "ing", "ly", "er", "ness")
        return any(word.endswith(end) and word[: -len(end)] in self.known for end in endings)

    def _without_vowels(self, word: str) -> str:
        """The one word of the same consonants: "hapend" -> "happened", "mch" -> "much"."""
        bones = _bones(word)
        enough = len(bones) >= (4 if re.search("[aeiouy]", word[1:]) else 3)
        found = self._bones.get(bones, ()) if enough else ()
        return found[0] if len(found) == 1 and len(word) < len(found[0]) else word

    def _nearest(self, word: str) -> str:
        allowed = 2 if len(word) >= 8 else 1
        lengths = range(len(word) - allowed, len(word) + allowed + 1) if len(word) > 4 else (4,)
        candidates = [other for length in lengths for other in self._near[word[0], length]]
        near = [(distance(word, other), other) for other in candidates]
        near = [(steps, other) for steps, other in near if steps <= allowed]
        if len(word) == 4:
            near = [(steps, other) for steps, other in near if sorted(word) == sorted(other)]
        return min(near, key=lambda item: (item[0], abs(len(item[1]) - len(word)), item[1]))[1] if near else word


def _bones(word: str) -> str:
    """The first letter and the consonants after it, doubled ones once."""
    bones = word[:1] + re.sub(r"[aeiouy]", "", word[1:])
    return re.sub(r"(.)\1+", r"\1", bones)


def distance(one: str, two: str) -> int:
    """Edits (insert, delete, replace, swap neighbours) between two words."""
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, left in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, right in enumerate(two, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if last and j > 1 and left == two[j - 2] and one[i - 2] == right:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
