"""Members' rows as one score: nothing that one member is sure of is lost, nothing is invented."""

import torch

from detectors.scaling import harmonic_rows, row_scale

GENERATOR = torch.Generator().manual_seed(0)
NORMAL = [torch.rand(400, 3, generator=GENERATOR).square() * size for size in (1.0, 50.0, 0.1)]
SCALES = [row_scale(maps) for maps in NORMAL]


def combined(*maps: torch.Tensor, weights=(1.0, 1.0, 1.0)) -> torch.Tensor:
    return harmonic_rows(maps, SCALES, weights)


def test_one_sure_member_is_not_averaged_away_and_names_the_place():
    usual = [maps[:1].clone() for maps in NORMAL]
    odd = [maps.clone() for maps in usual]
    odd[1][0] = torch.tensor([0.0, 900.0, 0.0])
    scores = combined(*NORMAL).sum(1)
    found = combined(*odd)
    assert found.sum() > scores.quantile(0.995)
    assert found[0].argmax() == 1


def test_agreement_counts_and_the_score_of_a_row_is_shared_out_whole():
    high = [maps[maps.sum(1).argsort()[-20:]] for maps in NORMAL]
    one = combined(high[0], NORMAL[1][:20], NORMAL[2][:20]).sum(1).mean()
    all_three = combined(*high)
    assert all_three.sum(1).mean() > one
    assert (all_three >= 0).all()


def test_a_members_weight_is_the_weight_of_its_voice():
    maps = [m[:50] for m in NORMAL]
    alone = combined(*maps, weights=(1.0, 1e-9, 1e-9)).sum(1)
    z = (torch.asinh((maps[0].sum(1) - SCALES[0][0]) / SCALES[0][1]) - SCALES[0][2]) / SCALES[0][3]
    assert torch.allclose(alone, -torch.special.log_ndtr(-z), atol=1e-3)
