"""Pictures: colours that everybody can read, places that are where they should be, names that stay text."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from assistant import figures
from assistant.figures import Box


@pytest.fixture
def spot():
    """A map (40, 60) of 0.2 with a spot of 3 at columns 20 to 29, rows 10 to 19."""
    level = np.full((40, 60), 0.2, np.float32)
    level[10:20, 20:30] = 3.0
    return level


def test_the_ramp_grows_lighter_all_the_way():
    colours = figures.colour_ramp(np.linspace(0, 1, 64)).astype(float)
    lightness = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()


def test_what_is_normal_stays_uncoloured(spot):
    alpha = np.asarray(figures.heat_layer(spot))[..., 3]
    assert alpha[0, 0] == 0
    assert 100 < alpha[15, 25] < 200  # what lies below stays visible


def test_an_overlay_leaves_what_is_normal_as_it_was(spot):
    picture = np.full((400, 600, 3), 90, np.uint8)
    level = np.kron(spot, np.ones((10, 10), np.float32))
    made = np.asarray(figures.overlay(picture, level, [Box("region 1", 200, 100, 300, 200)]))
    assert (made[350:, 500:] == 90).all()
    assert not (made[150, 250] == 90).all()


def test_small_pictures_are_enlarged_by_a_whole_number(spot):
    made = figures.overlay(np.zeros((40, 60), np.uint8), spot)
    assert made.width % 60 == 0
    assert made.width >= 360


def test_outlines_are_closed_and_stay_in_their_box(spot):
    (line,) = figures.outlines(spot, [Box("region 1", 18, 8, 32, 22)])
    assert np.allclose(line[0], line[-1])
    assert line[:, 0].min() == pytest.approx(19.8, abs=0.1)
    assert line[:, 0].max() == pytest.approx(30.2, abs=0.1)


def test_boxes_are_those_of_regions_with_a_box():
    regions = [{"name": "region 1", "box": [1, 2, 3, 4]}, {"name": "interval 1", "box": None}]
    assert figures.boxes_of(regions) == [Box("region 1", 1, 2, 3, 4)]


def test_sixteen_bit_pictures_are_shown_in_eight(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 40000]], np.uint16)).save(path)
    assert np.asarray(figures.load_picture(path))[0, 1, 0] == 255


def test_a_pair_has_both_pictures_at_one_size():
    made = figures.pair(np.zeros((50, 80, 3), np.uint8), np.full((25, 40, 3), 200, np.uint8))
    assert made.height == 50
    assert made.width > 160


@pytest.mark.parametrize("shape", [(10, 400), (400, 10), (66, 88)])
def test_thumbnails_have_one_size(shape):
    data = figures.heat_thumbnail(np.zeros(shape, np.uint8), np.zeros(shape, np.float32))
    assert Image.open(BytesIO(data)).size == (88, 66)


def test_a_sparkline_keeps_a_spike_of_one_stamp():
    signal = np.zeros(10_000)
    signal[5_001] = 1.0
    assert ",4.0" in figures.sparkline(signal)


def test_a_sparkline_without_values_is_empty_and_its_label_escaped():
    drawn = figures.sparkline(np.full(5, np.nan), label='"><script>')
    assert "polyline" not in drawn
    assert "<script>" not in drawn
