"""The process: every schedule, prediction and sampler agrees with the others where theory says so."""

import pytest
import torch

from detectors.denoiser import denoiser_settings, make_denoiser
from detectors.diffusion import PREDICTIONS, SAMPLERS, SCHEDULES, Diffusion
from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.noise import KINDS, make_noise
from detectors.training import Run


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_noise_grows_with_time(schedule):
    process = Diffusion(schedule)
    ratio = process.sigma / process.alpha
    assert (ratio.diff() > 0).all()
    assert ratio[0] < 0.1
    assert ratio[-1] > 10


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_true_target_gives_back_x0(schedule, prediction):
    if (schedule, prediction) == ("ve", "v"):
        with pytest.raises(AnomalyError, match="variance-preserving"):
            Diffusion(schedule, prediction)
        return
    process = Diffusion(schedule, prediction)
    x, eps = torch.randn(5, 3, generator=generator(1)), torch.randn(5, 3, generator=generator(2))
    t = torch.tensor([10, 200, 400, 600, 700])
    x_t = process.add_noise(x, eps, t)
    assert torch.allclose(process.to_x0(process.target(x, eps, t), x_t, t), x, atol=2e-2)


def gaussian_posterior(process, mean, variance):
    """The exact x_0 estimate where data are N(mean, variance)."""

    def x0(x_t, t):
        alpha, sigma = process.at(t, x_t)
        return mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x_t - alpha * mean)

    return x0


@pytest.mark.parametrize(
    ("schedule", "sampler"),
    [("cosine", s) for s in SAMPLERS if s != "sde"] + [("linear", "ddim"), ("vp", "sde"), ("ve", "sde")],
)
def test_a_full_chain_draws_from_the_data(schedule, sampler):
    process = Diffusion(schedule)
    x = torch.zeros(4000, 1)
    noise = torch.randn(x.shape, generator=generator(3))
    steps = 60 if sampler != "sde" else 200
    out = process.regenerate(
        x, gaussian_posterior(process, 1.5, 0.25), 998, noise=noise, generator=generator(4), sampler=sampler,
        num_inference_steps=steps,
    )  # fmt: skip
    assert out.mean().item() == pytest.approx(1.5, abs=0.1)
    assert out.std().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm"])
def test_what_is_kept_stays_exactly_as_it_was(sampler):
    process = Diffusion()
    x = torch.randn(3, 4, generator=generator(5))
    keep = torch.tensor([True, False, True, True]).expand_as(x)
    noise = torch.randn(x.shape, generator=generator(6))
    out = process.regenerate(
        x, gaussian_posterior(process, 0.0, 1.0), 500, noise=noise, generator=generator(), sampler=sampler, keep=keep
    )
    assert torch.equal(out[keep], x[keep])
    assert not torch.allclose(out[~keep], x[~keep])


def regenerated(x, x0_model, **how):
    noise = torch.randn(x.shape, generator=generator(6))
    return Diffusion().regenerate(x, x0_model, 500, **{"noise": noise, "generator": generator(), **how})


def test_a_guide_that_insists_on_the_input_gets_it_back():
    x = torch.randn(3, 4, generator=generator(5))
    posterior = gaussian_posterior(Diffusion(), 0.0, 1.0)
    times = []

    def insist(x0, x_t, t):
        times.append(int(t[0]))
        assert x0.shape == x_t.shape
        return x

    assert torch.allclose(regenerated(x, posterior, guide=insist), x, atol=2e-2)
    assert times == sorted(times, reverse=True)
    assert times[0] <= 500


def test_without_noise_the_chain_takes_each_item_to_its_normal_version():
    x, posterior = torch.tensor([[1.5], [4.0]]), gaussian_posterior(Diffusion(), 1.5, 0.01)
    out = regenerated(x, posterior, noise=None)
    assert out[0].item() == pytest.approx(1.5, abs=0.05)
    assert out[1].item() == pytest.approx(1.5, abs=0.5)
    assert torch.equal(out[1:], regenerated(x[1:], posterior, noise=None))


def test_steps_taken_again_bring_the_hole_closer_to_its_surroundings():
    """Two dimensions that always agree: RePaint's resampling carries what is kept over to the hole."""
    process, covariance = Diffusion(), torch.tensor([[1.0, 0.99], [0.99, 1.0]])

    def x0(x_t, t):
        alpha, sigma = (float(level[0]) for level in process.at(t, x_t))
        gain = alpha * covariance @ torch.linalg.inv(alpha**2 * covariance + sigma**2 * torch.eye(2))
        return x_t @ gain.T

    x, keep = torch.tensor([[2.0, -2.0]]), torch.tensor([[True, False]])
    once, often = (abs(float(regenerated(x, x0, keep=keep, resample=r)[0, 1]) - 2.0) for r in (0, 8))
    assert often < 0.5 * once


def test_a_sampler_that_cannot_go_back_is_told():
    with pytest.raises(AnomalyError, match="ddim"):
        regenerated(torch.zeros(1, 2), gaussian_posterior(Diffusion(), 0.0, 1.0), sampler="dpm", resample=2)


@pytest.mark.parametrize("kind", ["network", "gaussian", "corrected"])
@pytest.mark.parametrize("shape", [(5,), (2, 16), (3, 4, 4)])
def test_the_pullback_is_the_gradient_of_the_estimate(kind, shape):
    space = Space("table", shape, aligned=True)
    torch.manual_seed(0)
    settings = {**denoiser_settings("table"), "denoiser": kind, "width": 16, "depth": 1, "train_steps": 3}
    denoiser = make_denoiser(space, settings)
    denoiser.bf16 = False
    denoiser.fit(torch.randn(20, *shape, generator=generator(1)), Run())
    x, direction, step = (torch.randn(2, *shape, generator=generator(i)) for i in (2, 3, 4))
    t = torch.tensor([100, 400])
    slope = (denoiser.x0(x + 1e-2 * step, t) - denoiser.x0(x - 1e-2 * step, t)) / 2e-2
    expected = (slope * direction).flatten(1).sum(1)
    assert torch.allclose((denoiser.pullback(x, t, direction) * step).flatten(1).sum(1), expected, atol=3e-2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 64), (2, 3, 16, 16)])
def test_noise_is_unit_variance_and_seeded(kind, shape):
    noise = make_noise(kind, (64, *shape[1:]), generator(7), torch.device("cpu"))
    again = make_noise(kind, (64, *shape[1:]), generator(7), torch.device("cpu"))
    assert torch.equal(noise, again)
    assert noise.std().item() == pytest.approx(1.0, abs=0.15)


def test_coarse_noise_is_smoother_than_gaussian():
    def roughness(kind):
        return make_noise(kind, (8, 1, 32, 32), generator(8), torch.device("cpu")).diff(dim=-1).abs().mean()

    assert roughness("coarse") < roughness("simplex") < roughness("gaussian")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"schedule": "cosin"}, "cosine"), ({"prediction": "eps"}, "epsilon")],
)
def test_unknown_names_are_told_with_the_known_ones(arguments, word):
    with pytest.raises(AnomalyError, match=word):
        Diffusion(**arguments)
