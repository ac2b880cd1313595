"""The player of a clip: the right frames, the peak among them, and scores that stand under the right numbers."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

from assistant.chat.clips import MOST, clip_player
from assistant.keeping.clips import Excerpt, keep_excerpt, moved, small_maps

SCORES = np.array([1.0, 1.0, 5.0, 9.0, 5.0, np.nan, 1.0])
P_VALUES = np.array([0.5, 0.5, 0.01, 0.001, 0.01, np.nan, 0.5])


def player(tmp_path, frames=5, level=4.0, **maps):
    kept = Excerpt(
        frames=np.zeros((frames, 12, 16), np.uint8), first=101, peak=103, event=(102, 105),
        strip=np.zeros((2, 6, 8), np.uint8), strip_frames=np.array([102, 110]), begin=100, scores=SCORES,
        p_values=P_VALUES, **maps,
    )  # fmt: skip
    keep_excerpt(tmp_path, kept)
    finding = SimpleNamespace(id="F1", folder=tmp_path, sample="frames 102 to 104", alpha=0.01)
    return clip_player(finding, level, np.zeros((12, 16), np.float32), lambda picture: f"{picture.width}")


def test_frames_around_the_peak_and_small_ones_further_away_are_shown_in_order(tmp_path):
    shown = player(tmp_path)["frames"]
    assert [one["number"] for one in shown] == [101, 102, 103, 104, 105, 110]
    assert shown[1]["picture"] == "16"  # the full frame goes before the small one of the same number
    assert shown[-1]["picture"] == "8"


def test_many_frames_are_thinned_and_the_peak_stays(tmp_path):
    shown = player(tmp_path, frames=300)["frames"]
    assert len(shown) <= MOST + 1
    assert 103 in [one["number"] for one in shown]


def test_scores_stand_under_their_numbers_and_a_gap_is_none(tmp_path):
    clip = player(tmp_path)
    scores = json.loads(clip["scores"])
    assert (clip["first"], clip["last"]) == (100, 106)
    assert scores[103 - clip["first"]] == 9.0
    assert scores[5] is None
    assert len(clip["points"].split()) == 7


def test_flagged_frames_are_shaded_and_the_level_is_told(tmp_path):
    clip = player(tmp_path)
    assert [(float(left), float(width)) for left, width in clip["shaded"]] == [(250.0, 500.0)]
    assert clip["level_words"] == "flagged from 4 on"
    assert player(tmp_path, level=None)["level"] is None


def test_each_frame_whose_map_was_kept_has_a_layer_of_its_own(tmp_path):
    numbers = np.array([102, 103, 110])
    maps = np.zeros((3, 3, 4), np.float16)
    maps[0, 1, 1] = 8.0
    shown = player(tmp_path, maps=maps, map_frames=numbers)["heats"]
    assert [one["number"] for one in shown] == numbers.tolist()
    assert [one["number"] for one in player(tmp_path)["heats"]] == [103]  # older findings have that of the peak alone


def test_maps_are_kept_within_their_size_and_move_with_their_frames(monkeypatch):
    maps = np.arange(40 * 6.0).reshape(40, 2, 3)
    kept, numbers = small_maps(maps, [9, 8, 8, 30])
    assert numbers.tolist() == [8, 9, 30]
    assert np.array_equal(kept, maps[[8, 9, 30]])
    monkeypatch.setattr("assistant.keeping.clips.MAP_BYTES", 120)
    assert len(small_maps(maps, range(40))[1]) == 10
    frame, strip = np.zeros((1, 4, 4)), np.zeros((0, 2, 2))
    excerpt = Excerpt(frame, 8, 9, (8, 10), strip, np.zeros(0), 7, SCORES, P_VALUES, kept, numbers)
    assert moved(excerpt, 100).map_frames.tolist() == [108, 109, 130]
