"""Calibration by folds: no normal judges itself, and p-values stay valid though all normals are fitted on."""

import numpy as np
import torch

from detectors import make_detector
from detectors.crossfit import out_of_fold
from detectors.method import Method, Space
from detectors.scaling import PictureScale
from detectors.training import Run

RNG = np.random.default_rng


class Remembers(Method):
    """Evidence: 1 for an item that the fit did not see."""

    def fit(self, x, run):
        self.learn(memory=x)

    def evidence(self, x):
        return 1.0 - (torch.cdist(x, self.memory).min(1).values < 1e-6).float()[:, None]

    def see(self, evidence):
        self.learn(count=torch.tensor(len(evidence)))


def test_every_normal_is_judged_once_by_a_fit_without_it():
    x = torch.randn(23, 4, generator=torch.Generator().manual_seed(0))
    found = out_of_fold(lambda: Remembers(Space("table", (4,))), x, 5, Run(), batch=3)
    assert (found.evidence == 1).all()
    assert torch.cat(found.parts).sort().values.tolist() == list(range(23))


def test_a_fold_is_not_among_those_that_its_scale_comes_from():
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    method = Remembers(Space("table", (4,)))
    found = out_of_fold(lambda: Remembers(Space("table", (4,))), x, 4, Run(), batch=8)
    assert [(len(own), int(method.count)) for own, _ in found.unseen(method)] == [(5, 15)] * 4


def pictures(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Grey pictures of one pattern, each with its own light and grain."""
    pattern = 40 * np.sin(np.arange(32) / 3)[None] * np.ones((32, 1))
    light = rng.normal(0, 8, (count, 1, 1))
    return list((120 + pattern + light + rng.normal(0, 6, (count, 32, 32))).clip(0, 255).astype(np.uint8))


def test_p_values_of_new_normals_are_valid_though_all_normals_were_fitted_on():
    shares = []
    for seed in range(4):
        rng = RNG(seed)
        detector = make_detector("image", seed=seed).fit(pictures(rng, 60))
        assert detector.info()["n_fit"] == detector.info()["n_calibration"] == 60
        shares.append([(detector.p_value(pictures(rng, 100)) <= alpha).mean() for alpha in (0.1, 0.3)])
    few, more = np.mean(shares, 0)
    assert few < 0.16
    assert more < 0.38
    assert more > 0.1  # and they are not so cautious as to say nothing


def lifted(count: int, seed: int) -> torch.Tensor:
    """Maps of pictures whose own level varies: (count, 1, 8, 8)."""
    generator = torch.Generator().manual_seed(seed)
    grain, level = torch.randn(count, 1, 8, 8, generator=generator), torch.randn(count, 1, 1, 1, generator=generator)
    return 10 + 2 * level + grain


def test_a_dull_picture_is_half_forgiven_a_place_in_it_and_a_wholly_odd_picture_are_not():
    scale = PictureScale()
    scale.see(lifted(200, 0), Space("image", (4, 8, 8), aligned=True))
    usual = torch.full((1, 1, 8, 8), 10.0)
    dull, spot = usual + 2.0, usual.clone()
    spot[..., 3, 4] += 2.0
    assert 0 < scale.z(dull).mean() < 0.75 * scale.z(spot)[..., 3, 4].mean()
    assert scale.z(usual + 30.0).mean() > 5
