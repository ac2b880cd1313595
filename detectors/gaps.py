"""Rows with unknown numbers: a Gaussian learned from what is known, and the unknown as it expects them given the rest.

Knows vectors and masks of them; not columns, parts or models. Under a Gaussian, a row filled in this way is exactly as
likely as what is known of it: a gap is neither an error nor evidence.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 3  # of filling and learning again, where anything is unknown
RIDGE = 0.02  # share of unit variance in the covariance


def learn_gaussian(x: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean (d,), covariance (d, d)) of rows x (n, d), of which `known` (n, d) bool is known."""
    size = x.shape[1]
    mean, covariance = np.zeros(size), np.eye(size)
    for _ in range(1 if known.all() else ROUNDS):
        filled = fill(x, known, mean, covariance)
        mean = filled.mean(0)
        centred = filled - mean
        covariance = (1 - RIDGE) * (centred.T @ centred / max(1, len(filled) - 1)) + RIDGE * np.eye(size)
    return mean, covariance


def fill(x: np.ndarray, known: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """x (n, d) with unknown numbers as their mean given the known ones, one solve for each pattern of gaps."""
    gappy = np.flatnonzero(~known.all(1))
    if not len(gappy):
        return x
    x = x.copy()
    patterns, member = np.unique(known[gappy], axis=0, return_inverse=True)
    for number, seen in enumerate(patterns):
        rows = gappy[member.ravel() == number]
        gain = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, ~seen)])
        x[np.ix_(rows, ~seen)] = mean[~seen] + (x[np.ix_(rows, seen)] - mean[seen]) @ gain
    return x
