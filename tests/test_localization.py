"""From maps to regions: what is named first, where it is said to lie, and what is left out."""

import numpy as np
import pytest

from detectors.localization import image_regions, position_words, regions_mask


def a_map(*spots: tuple[int, int, int, int, float]) -> np.ndarray:
    """(90, 120) map of quiet 0.1 with rectangles (left, top, right, bottom, value)."""
    map_ = np.full((90, 120), 0.1)
    for left, top, right, bottom, value in spots:
        map_[top:bottom, left:right] = value
    return map_


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0, 0, 20, 20), "upper left"),
        ((50, 5, 70, 20), "upper centre"),
        ((50, 40, 70, 50), "centre"),
        ((0, 40, 10, 50), "centre left"),
        ((100, 80, 120, 90), "lower right"),
    ],
)
def test_a_box_is_told_by_the_ninth_that_its_middle_lies_in(box, words):
    assert position_words(box, 90, 120) == words


def test_a_spot_becomes_a_box_with_a_mask_of_its_pixels():
    (region,) = image_regions(a_map((30, 20, 42, 29, 3.0)))
    assert (region.name, region.box, region.area) == ("region 1", (30, 20, 42, 29), 12 * 9)
    assert region.mask.shape == (9, 12)
    assert region.peak == 3.0
    assert region.share == pytest.approx(1.0)


def test_regions_are_ranked_by_evidence_and_shares_sum_to_at_most_one():
    regions = image_regions(a_map((5, 5, 17, 17, 2.0), (60, 40, 80, 60, 4.0)))
    assert [r.position for r in regions] == ["centre", "upper left"]
    assert regions[0].share > regions[1].share
    assert sum(r.share for r in regions) <= 1 + 1e-9


def test_faint_dust_beside_a_strong_defect_is_not_named():
    assert len(image_regions(a_map((60, 40, 80, 60, 4.0), (2, 2, 4, 4, 1.1)))) == 1


def test_a_flagged_picture_whose_map_stays_below_the_level_still_has_a_place():
    (region,) = image_regions(a_map((60, 40, 70, 50, 0.8)))
    assert region.box == (60, 40, 70, 50)


def test_the_mask_of_regions_grows_by_its_margin():
    regions = image_regions(a_map((30, 20, 42, 29, 3.0)))
    assert regions_mask(regions, 90, 120).sum() == 12 * 9
    assert regions_mask(regions, 90, 120, margin=2).sum() > 15 * 12
