"""The training loop: it learns, is seeded, and goes on where it was interrupted."""

import pytest
import torch

from detectors.diffusion import Diffusion
from detectors.networks import build_network
from detectors.training import Run, train


def data():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(300, 1, generator=generator)
    return torch.cat([first, first + 0.1 * torch.randn(300, 1, generator=generator), -first], 1)


def fitted(checkpoint=None, progress=lambda fraction, message: None, steps=200):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network((3,), 32, 2)
    run = Run(torch.Generator().manual_seed(1), torch.device("cpu"), progress, checkpoint)
    train(network, Diffusion(), data(), run, steps=steps, batch_size=64, bf16=False)
    return network


def error(network):
    x, t = data(), torch.full((300,), 400)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        return (network(Diffusion().add_noise(x, noise, t), (t + 1) / 1000) - x).square().mean().item()


def test_training_learns_to_denoise():
    assert error(fitted()) < 0.6 * error(build_network((3,), 32, 2))


def test_the_same_seed_trains_the_same_network():
    a, b = fitted(steps=30), fitted(steps=30)
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("detectors.training.TELL_SECONDS", 0.0)
    monkeypatch.setattr("detectors.training.CHECKPOINT_SECONDS", 0.0)

    def stop(fraction, message):
        if fraction >= 0.6:
            raise KeyboardInterrupt

    whole = fitted()
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "cut", stop)
    seen = []
    resumed = fitted(tmp_path / "cut", lambda fraction, message: seen.append(fraction))
    assert min(seen) >= 0.5
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
