"""Planted anomalies: seeded, where they say they are, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from detectors import AnomalyError
from detectors.synthetic import kinds_of, plant

SHAPES = [(6,), (3, 32), (5, 16, 12)]
KINDS = [(shape, kind) for shape in SHAPES for kind in kinds_of(shape)]


def normals(shape: tuple[int, ...], count: int = 24) -> torch.Tensor:
    return torch.randn((count, *shape), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("shape", "kind"), KINDS)
def test_every_item_is_changed_where_it_is_told_and_hardly_elsewhere(shape, kind):
    x = normals(shape)
    odd, where, kinds = plant(x, torch.Generator().manual_seed(0), [kind])
    assert where.dtype == torch.bool
    assert where.shape == (x.shape if len(shape) < 3 else (len(x), 1, *shape[1:]))
    assert where.flatten(1).any(1).all()
    assert not where.flatten(1).all(1).any()
    change = (odd - x).abs() if len(shape) < 3 else (odd - x).square().mean(1, keepdim=True).sqrt()
    assert (change[where] > 0).all()
    assert (change[~where] < 0.35).all()  # a quarter of a deviation is not called changed
    assert len(kinds) == len(x)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_seed_plants_the_same(shape):
    x = normals(shape)
    first, second = (plant(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.x, second.x)
    assert torch.equal(first.where, second.where)
    assert first.kinds == second.kinds
    assert set(first.kinds) <= set(kinds_of(shape))
    assert not torch.equal(first.x, plant(x, torch.Generator().manual_seed(6)).x)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_item_alone_can_be_planted(shape):
    planted = plant(normals(shape, 1), torch.Generator().manual_seed(0), donors=normals(shape))
    assert planted.where.any()


def test_groups_are_struck_whole():
    x = normals((6,), 200)
    where = plant(x, torch.Generator().manual_seed(0), ["shifted"], groups=[("a", 4), ("b", 2)]).where
    assert (where[:, :4].all(1) & ~where[:, 4:].any(1)).sum() > 20
    assert (where[:, 4:].all(1) & ~where[:, :4].any(1)).sum() > 20


def test_constant_channels_are_struck_as_well():
    x = normals((3, 32))
    x[:, 1] = 0
    assert plant(x, torch.Generator().manual_seed(0), ["stuck"]).where.flatten(1).any(1).all()


def test_an_unknown_kind_is_told_with_the_known_ones():
    with pytest.raises(AnomalyError, match="drift"):
        plant(normals((3, 32)), torch.Generator(), ["pasted"])
