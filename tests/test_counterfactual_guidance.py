"""Labelled anomalies sharpen the eye for their kind."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detectors import AnomalyError, load_detector, make_detector


def rows(rng, count, shift=0.0):
    """Twelve independent columns; what is wrong is a small shift of two of them."""
    x = rng.standard_normal((count, 12))
    x[:, :2] += shift
    return x


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    test = np.concatenate([rows(rng, 100), rows(rng, 100, 1.7)])
    return rows(rng, 400), rows(rng, 12, 1.7), test, np.repeat([0, 1], 100)


def fitted(normal, anomalies):
    detector = make_detector("table", "counterfactual_guidance", denoiser="gaussian", device="cpu")
    return detector.fit(normal, anomalies=anomalies)


def test_a_few_known_anomalies_help_to_find_others_of_their_kind(data, tmp_path):
    normal, known, test, truth = data
    alone, taught = fitted(normal, None), fitted(normal, known)
    before, after = (roc_auc_score(truth, d.decision_function(test)) for d in (alone, taught))
    assert after > before + 0.05
    taught.save(tmp_path / "model")
    again = load_detector(tmp_path / "model", device="cpu")
    assert np.array_equal(again.decision_function(test), taught.decision_function(test))


def test_p_values_of_normals_stay_honest_with_known_anomalies(data):
    normal, known, test, truth = data
    assert (fitted(normal, known).p_value(test[truth == 0]) <= 0.1).mean() <= 0.2


def test_a_method_that_learns_nothing_from_anomalies_says_so(data):
    normal, known, _, _ = data
    with pytest.raises(AnomalyError, match="counterfactual_guidance"):
        make_detector("table", "diffusion_time", device="cpu").fit(normal, anomalies=known)
