"""Members' rows as one score: nothing that one member is sure of is lost, nothing is invented."""

import torch

from detectors.hybrid.default import trust
from detectors.method import Method, Space
from detectors.scaling import harmonic_rows, row_scale

GENERATOR = torch.Generator().manual_seed(0)
NORMAL = [torch.rand(400, 3, generator=GENERATOR).square() * size for size in (1.0, 50.0, 0.1)]
SCALES = [row_scale(maps) for maps in NORMAL]


ANY = (float("inf"),) * 3


def combined(*maps: torch.Tensor, weights=(1.0, 1.0, 1.0), bounds=ANY) -> torch.Tensor:
    return harmonic_rows(maps, SCALES, weights, bounds)


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


def test_what_a_bounded_member_claims_counts_up_to_its_bound():
    usual = [maps[:1].clone() for maps in NORMAL]
    odd, odder = ([*usual[:2], torch.full((1, 3), size)] for size in (1e3, 1e6))
    bounds = (float("inf"), float("inf"), 12.0)
    assert combined(*odd, bounds=bounds).sum() > combined(*usual).sum() + 3
    assert torch.equal(combined(*odd, bounds=bounds), combined(*odder, bounds=bounds))
    assert combined(*odder).sum() > combined(*odder, bounds=bounds).sum()


class Distance(Method):
    """How far the first `looked_at` columns are from their mean."""

    looked_at = 4

    def maps(self, x):
        seen = torch.zeros_like(x)
        seen[:, : self.looked_at] = x[:, : self.looked_at]
        return seen**2


def test_a_member_that_sees_planted_anomalies_is_trusted_more_than_one_that_sees_a_part_of_them():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(1))
    whole, part, blind = (Distance(Space("table", (4,))) for _ in range(3))
    part.looked_at, blind.looked_at = 1, 0
    assert trust(whole, x) > 1.5 * trust(part, x) > 1.5 * trust(blind, x)
    assert trust(blind, x) == 1.0
