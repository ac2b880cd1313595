"""Puts misspelt words right by the nearest word of a vocabulary. Knows letters, nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable


class Speller:
    """Nearest word within one edit (words of 4 letters up) or two (8 letters up); else the word as it is."""

    def __init__(self, vocabulary: Iterable[str]):
        self.vocabulary = {word for word in vocabulary if word.isalpha()}
        self._deletes: dict[str, list[str]] = defaultdict(list)
        for word in sorted(self.vocabulary):
            for key in _deletes(word):
                self._deletes[key].append(word)
        self._memory: dict[str, str] = {}

    def correct(self, word: str) -> str:
        """The word, or its nearest neighbour where it is not in the vocabulary."""
        if len(word) < 4 or not word.isalpha() or word in self.vocabulary or self._inflected(word):
            return word
        if word not in self._memory:
            self._memory[word] = self._nearest(word)
        return self._memory[word]

    def _inflected(self, word: str) -> bool:
        endings = ("s", "es", "ed", "d", "ing", "ly", "er", "ness")
        return any(word.endswith(end) and word[: -len(end)] in self.vocabulary for end in endings)

    def _nearest(self, word: str) -> str:
        allowed = 2 if len(word) >= 7 else 1
        candidates = {other for key in _deletes(word) for other in self._deletes.get(key, ())}
        near = [(distance(word, other), other) for other in candidates]
        near = [(steps, other) for steps, other in near if steps <= allowed and len(other) >= 3]
        if not near:
            return word
        return min(near, key=lambda item: (item[0], item[1][0] != word[0], abs(len(item[1]) - len(word)), item[1]))[1]


def _deletes(word: str) -> set[str]:
    """The word with up to one letter (two from 7 letters up) left out: words one edit apart share one of these."""
    one = {word[:i] + word[i + 1 :] for i in range(len(word))}
    if len(word) < 7:
        return {word} | one
    return {word} | one | {left[:i] + left[i + 1 :] for left in one for i in range(len(left))}


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
