"""The likelihood along the flow: where the density is known in closed form, it is the same."""

import math

import pytest
import torch

from detectors.density.ode_likelihood import OdeLikelihood
from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.training import Run


def correlated(count=4000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(count, 1, generator=generator)
    rest = 0.6 * first + 0.8 * torch.randn(count, 3, generator=generator)
    return torch.cat([first, rest], 1)


def method(x, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = OdeLikelihood(Space("table", tuple(x.shape[1:])), **settings)
        made.fit(x, Run())
    return made


def analytic(x, rows, sigma):
    """-log N(rows; mean, C + sigma^2 I) in nats."""
    covariance = torch.cov(x.T) + sigma**2 * torch.eye(x.shape[1])
    return -torch.distributions.MultivariateNormal(x.mean(0), covariance).log_prob(rows)


def test_a_gaussian_has_its_own_density():
    x, rows = correlated(), 2 * correlated(50, seed=1)
    made = method(x, denoiser="gaussian", steps=40, shrinkage=0.0)
    sigma = made._sigma_at(made._times()[0])
    assert torch.allclose(made.nats(rows).sum(1), analytic(x, rows, sigma), atol=0.05)


def test_few_steps_come_close():
    x, rows = correlated(), correlated(50, seed=1)
    few, many = (method(x, denoiser="gaussian", steps=steps, shrinkage=0.0).bits(rows) for steps in (6, 60))
    assert (few - many).abs().max() < 0.1  # bits a dimension


def test_places_of_a_gaussian_are_its_whitened_values():
    x = correlated()
    made = method(x, denoiser="gaussian", steps=60, shrinkage=0.0)
    row = torch.tensor([[0.0, 0.0, 3.0, 0.0]])
    gap = (made.nats(row) - made.nats(x.mean(0, keepdim=True)))[0]
    assert int(gap.argmax()) == 2


def test_a_learned_correction_comes_near_the_density_of_a_gaussian():
    x, rows = correlated(), correlated(200, seed=1)
    made = method(x, steps=12, train_steps=100, width=32, depth=2)
    truth = analytic(x, rows, made._sigma_at(made._times()[0])).mean() / 4 / math.log(2)
    assert float(made.bits(rows).mean()) == pytest.approx(float(truth), abs=0.1)


def test_the_estimated_divergence_is_near_the_exact_one():
    x, rows = correlated(), correlated(100, seed=1)
    exact = method(x, divergence="exact", train_steps=60, width=32, depth=2).nats(rows).sum(1)
    estimate = method(x, train_steps=60, width=32, depth=2).nats(rows).sum(1)
    assert float((exact - estimate).abs().mean()) < 0.3  # nats


def test_typicality_finds_what_is_too_likely():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 30, generator=generator)
    middle = torch.zeros(1, 30)
    scores = []
    for typicality in (False, True):
        made = method(x, denoiser="gaussian", typicality=typicality)
        made.calibrate(torch.randn(200, 30, generator=generator))
        scores.append(float(made.maps(middle).sum()))
    assert scores[0] < -3  # deviations: the likeliest place of all
    assert scores[1] > 3


def test_an_exact_divergence_of_a_large_item_is_refused():
    with pytest.raises(AnomalyError, match="hutchinson"):
        OdeLikelihood(Space("image", (3, 32, 32)), divergence="exact")
