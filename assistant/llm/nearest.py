"""Which intent a set of features comes nearest to, learned from examples in closed form.

Kernel ridge regression on one-of-n targets with a quadratic kernel over weighted features (so that pairs of features
count too). Knows feature names and numbers; not words, questions or data files. Deterministic: no random numbers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

KINDS = {"c": 1.0, "w": 0.8, "b": 0.45, "f": 0.4}  # weight by the first letter of a feature; found by leave-one-out
OFFSET = 0.3
RIDGE = 0.2
UNSEEN = 1.25  # weight of a feature that no example holds: it makes every example farther


class Nearest:
    """Scores intents for features; about 1 for an example itself, about 0 for something else."""

    def __init__(self, names: Sequence[str], features: Sequence[Iterable[str]]):
        """`names[i]` is the intent of the example whose features are `features[i]`."""
        rows = [set(row) for row in features]
        self.rarity = _rarity(names, rows)
        self.columns = {key: column for column, key in enumerate(sorted(self.rarity))}
        self.intents = tuple(dict.fromkeys(names))
        self.examples = self._matrix(rows)  # (example, feature), rows of length 1
        self._targets = np.zeros((len(rows), len(self.intents)), np.float32)
        self._targets[np.arange(len(rows)), [self.intents.index(name) for name in names]] = 1.0
        self._dual = cho_solve(self._factor(), self._targets, check_finite=False)  # (example, intent)

    def _factor(self) -> tuple[np.ndarray, bool]:
        kernel = _kernel((self.examples @ self.examples.T).toarray())
        kernel[np.diag_indices(len(self._targets))] += RIDGE
        return cho_factor(kernel, overwrite_a=True, check_finite=False)

    def save(self, path: Path) -> None:
        """Keep what was learned, so that it need not be learned again at the next start."""
        parts = {key: getattr(self.examples, key) for key in ("data", "indices", "indptr", "shape")}
        keys = sorted(self.rarity)
        rarity = np.array([self.rarity[key] for key in keys])
        np.savez(path, dual=self._dual, targets=self._targets, intents=self.intents, keys=keys, rarity=rarity, **parts)

    @classmethod
    def load(cls, path: Path) -> Nearest:
        """What `save` kept."""
        with np.load(path, allow_pickle=False) as kept:
            one = cls.__new__(cls)
            keys = [str(key) for key in kept["keys"]]
            one.rarity = dict(zip(keys, kept["rarity"].tolist(), strict=True))
            one.columns = {key: column for column, key in enumerate(keys)}
            one.intents = tuple(str(name) for name in kept["intents"])
            one._dual, one._targets = kept["dual"], kept["targets"]
            one.examples = csr_matrix((kept["data"], kept["indices"], kept["indptr"]), shape=tuple(kept["shape"]))
        return one

    def scores(self, found: Iterable[str]) -> tuple[tuple[str, float], ...]:
        """Every intent with its score, best first."""
        weights = np.zeros(len(self.columns), np.float32)
        for key, weight in self._weigh(set(found)).items():
            if key in self.columns:
                weights[self.columns[key]] = weight
        values = _kernel(self.examples @ weights) @ self._dual
        return tuple(sorted(zip(self.intents, values.tolist(), strict=True), key=lambda item: -item[1]))

    def left_out(self) -> float:
        """Share of examples whose intent is found from all the other examples (leave-one-out, in closed form)."""
        inverse = cho_solve(self._factor(), np.eye(len(self._targets), dtype=np.float32), check_finite=False)
        guesses = self._targets - self._dual / np.diag(inverse)[:, None]
        return float((guesses.argmax(1) == self._targets.argmax(1)).mean())

    def _matrix(self, rows: Sequence[set[str]]) -> csr_matrix:
        """The weighed features of the examples, one row each."""
        weighed = [self._weigh(found) for found in rows]
        values = np.array([weight for row in weighed for weight in row.values()], np.float32)
        columns = [self.columns[key] for row in weighed for key in row]
        ends = np.cumsum([0, *(len(row) for row in weighed)])
        return csr_matrix((values, columns, ends), shape=(len(rows), len(self.columns)))

    def _weigh(self, found: Iterable[str]) -> Mapping[str, float]:
        weighed = {
            key: KINDS[key[0]] * math.sqrt(self.rarity.get(key, UNSEEN))
            for key in found
            if key[0] != "b" or key in self.rarity
        }
        norm = math.sqrt(sum(weight * weight for weight in weighed.values())) or 1.0
        return {key: weight / norm for key, weight in weighed.items()}


def _kernel(products: np.ndarray) -> np.ndarray:
    return ((products + OFFSET) / (1 + OFFSET)) ** 2


def _rarity(names: Sequence[str], features: Sequence[set[str]]) -> dict[str, float]:
    """Features that few intents share weigh more: log(1 + intents / intents that hold it)."""
    holders: dict[str, set[str]] = defaultdict(set)
    for name, found in zip(names, features, strict=True):
        for key in found:
            holders[key].add(name)
    total = len(set(names))
    return {key: math.log(1 + total / len(inside)) for key, inside in holders.items()}
