"""The process: every schedule, prediction and sampler agrees with the others where theory says so."""

import pytest
import torch

from detectors.diffusion import PREDICTIONS, SAMPLERS, SCHEDULES, Diffusion
from detectors.errors import AnomalyError
from detectors.noise import KINDS, make_noise


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
