"""The formulas of methods that train a model of their own, checked against the definitions they come from."""

from __future__ import annotations

import pytest
import torch

from detectors import AnomalyError
from detectors.hybrid.synthetic import Synthetic
from detectors.method import Space
from detectors.networks.codes import BinaryCode, Patches, PrincipalCode
from detectors.networks.segmenter import mask_evidence, mask_loss
from detectors.reconstruction.bernoulli import Bernoulli
from detectors.reconstruction.cold import Cold
from detectors.reconstruction.latent import Latent
from detectors.reconstruction.norm_guided import NormGuided
from detectors.reconstruction.transparency import Transparency
from detectors.restoring import refill
from detectors.synthetic import blend, plant_half
from detectors.training import Run

SHAPES = [(6,), (3, 32), (3, 30), (5, 9), (5, 8, 12), (4, 7, 8)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normals(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(1))


@pytest.mark.parametrize("shape", SHAPES)
def test_patches_join_to_what_was_cut(shape):
    x, patches = normals(4, *shape), Patches(shape)
    cut = patches.cut(x)
    assert cut.shape == (4, *patches.grid, patches.size)
    assert torch.equal(patches.join(cut), x)
    assert patches.spread(patches.pooled(x)).shape == (4, 1, *shape[1:])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_principal_code_loses_nothing_and_a_part_loses_least(shape):
    x = normals(64, *shape)
    errors = []
    for share in (1.0, 0.5):
        code = PrincipalCode(shape, share, 1000)
        code.fit(x)
        z = code.encode(x)
        assert z.shape == (64, *code.code_shape)
        errors.append(float((code.decode(z) - x).square().mean()))
    assert errors[0] < 1e-8 < errors[1] < 0.6


def test_a_binary_code_holds_bits_and_lets_gradients_through():
    code = BinaryCode((3, 32), bits=16, width=32)
    bits = code.encode(normals(5, 3, 32))
    assert set(bits.unique().tolist()) == {-1.0, 1.0}
    code(normals(5, 3, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in code.inward.parameters())


def test_the_norm_guided_estimate_is_the_papers():
    method = NormGuided(Space("table", (6,)), denoiser="gaussian", train_steps=2, high=700, low=400, weight=0.7)
    x = normals(200, 6)
    method.fit(x, Run())
    new, noise = normals(8, 6), torch.randn(8, 6, generator=seeded(3))
    process = method.denoiser.diffusion
    high, low = (torch.full((8,), t) for t in (700, 400))
    coarse = method.denoiser.x0(process.add_noise(new, noise, high), high)
    x_n, guide = process.add_noise(new, noise, low), process.add_noise(coarse, noise, low)
    alpha, sigma = process.at(low, new)
    epsilon = process.from_x0(method.denoiser.x0(x_n, low), x_n, low) - sigma * 0.7 * (guide - x_n)
    assert torch.allclose(method.restored(new, noise), (x_n - sigma * epsilon) / alpha, atol=1e-4)


def test_inflated_variance_makes_odder_samples():
    method = Synthetic(Space("table", (6,)), denoiser="gaussian", train_steps=2)
    method.fit(normals(400, 6), Run())
    spread = [float(method.generated(torch.full((300,), s), seeded()).std()) for s in (0.0, 2.0)]
    assert spread[0] == pytest.approx(1.0, abs=0.15)  # s = 0: like the normals
    assert spread[1] > 1.1 * spread[0]


def test_the_bernoulli_posterior_is_bayes_rule():
    method = Bernoulli(Space("table", (6,)), bits=8)
    now, after = torch.tensor(500), torch.tensor(300)
    kept_s = 1 - 301 / 1000
    step = (1 - 501 / 1000) / kept_s
    z_t, one = torch.ones(20_000, 1), torch.full((20_000, 1), 0.3)
    up = (0.5 * (1 - step) + step) * (0.5 * (1 - kept_s) + kept_s * 0.3)
    down = 0.5 * (1 - step) * (0.5 * (1 - kept_s) + kept_s * 0.7)
    drawn = torch.rand(20_000, 1, generator=seeded())
    share = (method._earlier(z_t, one, now, after, drawn) > 0).float().mean()
    assert float(share) == pytest.approx(up / (up + down), abs=0.01)


def test_the_mask_loss_prefers_the_truth():
    where = torch.zeros(2, 1, 6, 6, dtype=torch.bool)
    where[:, :, 2:4, 2:4] = True
    right, wrong = torch.where(where, 4.0, -4.0), torch.where(where, -4.0, 4.0)
    assert mask_loss(right, where).max() < 0.1 * mask_loss(torch.zeros_like(right), where).min()
    assert mask_loss(wrong, where).min() > mask_loss(torch.zeros_like(right), where).max()
    assert (mask_evidence(right)[where] > mask_evidence(right)[~where].max()).all()


def test_half_of_a_batch_stays_normal_and_blends_stay_in_their_places():
    x = normals(8, 5, 8, 12)
    odd, where = plant_half(x, seeded(), x)
    assert torch.equal(odd[4:], x[4:])
    assert where[:4].flatten(1).any(1).all()
    assert not where[4:].any()
    blended = blend(x, 10 + x, seeded())
    changed = (blended.x != x).any(1, keepdim=True)
    assert torch.equal(changed, blended.where)


def test_refilling_changes_the_hole_alone():
    x = normals(3, 4)
    where = torch.zeros(3, 4, dtype=torch.bool)
    where[:, 1] = True
    filled = refill(x, where, torch.zeros(4), lambda now: now + 1, rounds=3)
    assert torch.equal(filled[~where], x[~where])
    assert (filled[where] == 3).all()


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        (NormGuided, {"low": 800}),
        (Synthetic, {"planted": 2}),
        (Transparency, {"num_inference_steps": 20}),
        (Cold, {"times": (100,)}),
        (Bernoulli, {"start": 1000}),
        (Latent, {"quantile": 1.0}),
    ],
)
def test_settings_out_of_range_are_told_in_words(method, wrong):
    with pytest.raises(AnomalyError, match=next(iter(wrong)) if method is not NormGuided else "low"):
        method(Space("series", (3, 32)), **wrong)
