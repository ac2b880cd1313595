"""One contract for every method on every modality that it declares. A new method is tested by being there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kinds import KINDS, READ
from sklearn.metrics import roc_auc_score

from detectors import AnomalyError, Detection, list_methods, load_detector, make_detector
from detectors.registry import methods

FORMS = {
    "diffusion_time": ["nonparametric", "categorical", "inverse_gamma"],
    "masked": ["patch", "band"],
    "masked_conditional": ["network", "kernel", "gaussian"],
    "score_matching": ["single", "multiscale", "denoising"],
}
CASES = [
    pytest.param(modality, name, form, id=(key := "-".join(filter(None, (modality, name, form)))),
                 marks=pytest.mark.xdist_group(key))  # one worker fits a cell, once
    for modality in KINDS
    for name in list_methods(modality)
    for form in FORMS.get(name, [None])
    if (modality, form) != ("video", "inverse_gamma")  # refused
]  # fmt: skip


def settings(modality: str, name: str, form: str | None) -> dict[str, Any]:
    known = methods()[name].settings_for(modality, {})
    small = {k: v for k, v in {"width": 48, "depth": 2, "train_steps": 150}.items() if k in known}
    return {**KINDS[modality].small, **small, **({"form": form} if form else {})}


_fitted: dict[tuple, Any] = {}


@pytest.fixture
def case(request, modality, name, form):
    """(detector, tiny set), fitted once for all the tests of one method on one modality."""
    data = request.getfixturevalue(KINDS[modality].data)
    return fitted(modality, name, form, data), data


def fitted(modality: str, name: str, form: str | None, data: Any) -> Any:
    key = (modality, name, form)
    if key not in _fitted:
        _fitted[key] = make_detector(modality, name, seed=3, device="cpu", **settings(*key)).fit(data.normal)
    return _fitted[key]


def labels(data, count: int) -> np.ndarray:
    truth = np.zeros(count, int)
    truth[list(data.anomalous)] = 1
    return truth


@pytest.mark.parametrize(("modality", "name", "form"), CASES)
def test_ranks_the_planted_anomaly_above_normals(case):
    detector, data = case
    scores = detector.decision_function(data.test)
    assert np.isfinite(scores).all()
    assert roc_auc_score(labels(data, len(scores)), scores) >= 0.9


@pytest.mark.parametrize(("modality", "name", "form"), CASES)
def test_the_peak_of_the_map_hits_the_planted_place(case, modality, name):
    detector, data = case
    assert np.mean(KINDS[modality].hits(detector.anomaly_map(data.test), data)) >= 0.75


@pytest.mark.parametrize(("modality", "name", "form"), CASES)
def test_a_sample_scores_alone_as_in_a_batch(case, modality):
    detector, data = case
    if KINDS[modality].in_time:
        pytest.skip("a time stamp or a frame means nothing without its surroundings")
    together = detector.decision_function(data.test)
    assert detector.decision_function(KINDS[modality].last(data.test))[0] == pytest.approx(
        together[-1], rel=2e-2, abs=2e-2
    )


@pytest.mark.parametrize(("modality", "name", "form"), CASES)
def test_p_values_flags_and_detections_agree(case, modality):
    detector, data = case
    p = detector.p_value(data.test)
    assert ((p > 0) & (p <= 1)).all()
    alpha = 0.1 if modality == "video" else 0.05  # the frames of one short clip count as ten normals
    found = detector.detect(data.test, alpha=alpha)
    assert all(isinstance(d, Detection) and d.flagged and d.p_value <= alpha for d in found)
    if not KINDS[modality].in_time:
        assert {d.index for d in found} == set(np.nonzero(p <= alpha)[0].tolist())
    assert found
    for detection in found:
        json.dumps(detection.to_dict())
        assert detection.regions
        shares = [part.share for part in detection.parts]
        assert shares == sorted(shares, reverse=True)
        assert 0 <= sum(shares) <= 1.0001


@pytest.mark.parametrize(("modality", "name", "form"), CASES)
def test_the_normal_version_is_equal_outside_and_less_odd(case, modality):
    detector, data = case
    kind = KINDS[modality]
    odd, where = kind.odd(data)
    normal = detector.counterfactual(odd, where=where)
    kind.same_outside(odd, where, normal)
    before, after = (kind.judged(detector.decision_function(x), data) for x in (odd, normal))
    assert np.mean(after < before) >= 0.75


@pytest.mark.parametrize(("modality", "name", "form"), CASES)
def test_saved_and_loaded_it_scores_the_same_here_and_elsewhere(case, modality, elsewhere, tmp_path):
    detector, data = case
    detector.save(tmp_path / "model")
    again = load_detector(tmp_path / "model", device="cpu")
    scores = detector.decision_function(data.test)
    assert np.array_equal(again.decision_function(data.test), scores)
    assert np.array_equal(again.p_value(data.test), detector.p_value(data.test))
    assert again.info()["method"] == detector.info()["method"]
    assert not [f for f in (tmp_path / "model").iterdir() if f.suffix not in {".json", ".safetensors"}]
    KINDS[modality].keep(data.test, tmp_path / "samples")
    assert np.allclose(elsewhere(tmp_path / "model", tmp_path / "samples"), scores, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Callable[[Path, Path], list[float]]]:
    """The scores that another process gives with a saved model; it is started once, since starting costs seconds."""
    code = (
        "import json, sys\nfrom pathlib import Path\nimport numpy as np\nimport pandas as pd\n"
        f"from detectors import load_detector\n{READ}"
        "for line in sys.stdin:\n"
        "    model, samples = json.loads(line)\n"
        "    scores = load_detector(model, device='cpu').decision_function(read(Path(samples)))\n"
        "    print(json.dumps(scores.tolist()), flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )

    def scores(model: Path, samples: Path) -> list[float]:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([str(model), str(samples)]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield scores
    process.communicate()


@pytest.mark.parametrize(("modality", "name", "form"), [c for c in CASES if c.values[1] in ("default", "partial")])
def test_the_same_seed_gives_the_same_scores_and_no_global_state_is_touched(case, modality, name, form):
    detector, data = case
    torch.manual_seed(99)
    np.random.seed(99)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    again = make_detector(modality, name, seed=3, device="cpu", **settings(modality, name, form)).fit(data.normal)
    assert np.allclose(again.decision_function(data.test), detector.decision_function(data.test), rtol=1e-4, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("modality", list(KINDS))
def test_members_of_the_default_score_alone(request, modality):
    data = request.getfixturevalue(KINDS[modality].data)
    detector = fitted(modality, "default", None, data)
    assert len(detector.members) >= 2
    for member in detector.members:
        assert np.isfinite(detector.decision_function(data.test, member=member)).all()
    with pytest.raises(AnomalyError, match=detector.members[0]):
        detector.decision_function(data.test, member="nobody")


@cache
def _unfitted(modality: str):
    return make_detector(modality)


@pytest.mark.parametrize("modality", list(KINDS))
def test_asking_before_fit_is_told_in_words(modality):
    with pytest.raises(AnomalyError, match="not fitted"):
        _unfitted(modality).decision_function([])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("image", "autoencoder"), "default"),
        (("sound",), "series"),
        (("table", "partial", {"stepz": 3}), "start"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(arguments, word):
    *names, extra = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(AnomalyError, match=word):
        make_detector(*names, **extra)


@pytest.mark.parametrize("name", list(methods()))
def test_every_method_has_a_card(name):
    card = methods()[name].__doc__ or ""
    assert len(card) > 200
    assert "alls a sample" in card
