"""Image metrics against values that can be worked out by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detectors import AnomalyError
from detectors.metrics import auroc, pixel_metrics


def test_auroc_agrees_with_scikit_learn_also_on_ties():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 300), rng.integers(0, 20, 300) / 7
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "word"),
    [([0, 0], [1, 2], "one kind"), ([0, 1], [1, np.nan], "finite"), ([0, 1, 1], [1, 2], "belong")],
)
def test_auroc_says_what_it_cannot_use(labels, scores, word):
    with pytest.raises(AnomalyError, match=word):
        auroc(np.array(labels), np.array(scores))


def maps_and_masks(rng: np.random.Generator, count: int = 6):
    masks = [np.zeros((40, 50), bool) for _ in range(count)]
    for mask in masks[1:]:
        mask[8:16, 10:30] = True
    maps = [rng.standard_normal(mask.shape) + 1.5 * mask for mask in masks]
    return maps, masks


def test_pixel_auroc_agrees_with_scikit_learn():
    maps, masks = maps_and_masks(np.random.default_rng(1))
    truth, values = np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps])
    assert pixel_metrics(maps, masks)["pixel_auroc"] == pytest.approx(roc_auc_score(truth, values), abs=2e-3)


def test_a_perfect_map_has_aupro_one_and_a_constant_one_that_of_chance():
    _, masks = maps_and_masks(np.random.default_rng(2))
    perfect = pixel_metrics([m.astype(float) for m in masks], masks)
    assert perfect["aupro"] == pytest.approx(1, abs=1e-6)
    assert perfect["pixel_auroc"] == pytest.approx(1)
    assert pixel_metrics([np.zeros(m.shape) for m in masks], masks)["aupro"] == pytest.approx(0.15, abs=0.01)


def test_aupro_counts_a_small_region_as_much_as_a_large_one():
    mask = np.zeros((60, 60), bool)
    mask[2:42, 2:42] = True
    mask[50:54, 50:54] = True
    only_large = mask.astype(float)
    only_large[50:54, 50:54] = 0
    assert 0.5 < pixel_metrics([only_large], [mask])["aupro"] < 0.6


def test_pixel_metrics_say_what_they_cannot_use():
    with pytest.raises(AnomalyError, match="does not fit"):
        pixel_metrics([np.zeros((4, 4))], [np.zeros((4, 5))])
    with pytest.raises(AnomalyError, match="one kind"):
        pixel_metrics([np.zeros((4, 4))], [None])
