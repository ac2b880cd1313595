"""Clips in, spans with boxes out: sources, motion, events, mended frames, bad input."""

import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_clip
from PIL import Image

from detectors import AnomalyError, make_detector
from detectors.data import read_source
from detectors.localization_video import clock, runs
from detectors.metrics import auroc
from detectors.motion import flow, perspective
from detectors.readers.videos import open_clips

CART = range(20, 32)


@cache
def detector():
    return make_detector("video", "likelihood", size=48, smooth=3, denoiser="gaussian", device="cpu").fit(
        [tiny_clip(seed, 40)[0] for seed in range(5)]
    )


@cache
def odd_clip() -> np.ndarray:
    return tiny_clip(99, 40, CART)[0]


def zipped(path: Path, frames: np.ndarray, folder: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, frame in enumerate(frames):
            data = BytesIO()
            Image.fromarray(frame).save(data, "PNG")
            archive.writestr(f"{folder}{number}.png", data.getvalue())
    return path


def in_folder(path: Path, frames: np.ndarray) -> Path:
    path.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number}.png")
    return path


# --- sources ------------------------------------------------------------------------------------------------------
def test_a_clip_scores_the_same_as_array_folder_zip_list_of_frames_and_colour_channel(tmp_path):
    clip = odd_clip()[:12]
    wanted = detector().decision_function(clip)
    forms = [
        in_folder(tmp_path / "frames", clip),
        zipped(tmp_path / "clip.zip", clip),
        sorted((tmp_path / "frames").iterdir(), key=lambda p: int(p.stem)),
        list(clip),
        clip[..., None],
        read_source(tmp_path / "frames", "video"),
    ]
    for form in forms:
        assert np.allclose(detector().decision_function(form), wanted, atol=1e-4)


def test_frames_are_taken_in_the_natural_order_of_their_names(tmp_path):
    clip = tiny_clip(3, 12)[0]
    (read,), one = open_clips(in_folder(tmp_path / "c", clip))
    assert one
    assert np.array_equal(read.frame(10), clip[10])


def test_a_folder_of_clips_may_hold_folders_and_zips_and_says_how_many(tmp_path):
    in_folder(tmp_path / "all" / "a", tiny_clip(1, 10)[0])
    zipped(tmp_path / "all" / "b.zip", tiny_clip(2, 12)[0], "inner/")
    source = read_source(tmp_path / "all", "video")
    assert [clip.name for clip in source.samples] == ["a", "b"]
    assert source.notes == ["Read as 2 clips with 22 frames."]


def test_several_clips_give_maps_clip_by_clip_and_one_score_a_frame():
    clips = [tiny_clip(1, 10)[0], odd_clip()[:14]]
    maps = detector().anomaly_map(clips)
    assert [m.shape for m in maps] == [(10, 48, 64), (14, 48, 64)]
    together = detector().decision_function(clips)
    apart = np.concatenate([detector().decision_function(clip) for clip in clips])
    assert np.allclose(together, apart, atol=1e-4)


def test_a_video_file_is_read_frame_by_frame_forwards_and_backwards(tmp_path):
    av = pytest.importorskip("av")
    clip = np.repeat(tiny_clip(1, 50)[0][..., None], 3, axis=3)
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.bit_rate = 64, 48, 4_000_000
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    source = read_source(path)
    assert source.modality == "video"
    (read,) = source.samples
    assert (len(read), read.fps) == (50, 10.0)
    for number in (0, 1, 40, 5, 49, 20):
        error = np.abs(read.frame(number).astype(int) - clip[number]).mean(axis=(0, 1, 2))
        others = np.abs(read.frame(number).astype(int) - clip[(number + 25) % 50]).mean(axis=(0, 1, 2))
        assert error < others


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: np.zeros((5, 4), np.uint8), "frame, height, width"),
        (lambda p: [], "empty"),
        (lambda p: p / "nothing", "no file or folder"),
        (lambda p: in_folder(p / "x", np.zeros((0, 9, 9), np.uint8)), "holds no clips"),
        (lambda p: (p / "bad.zip").write_bytes(b"PK") and p / "bad.zip", "no readable zip"),
        (lambda p: (p / "bad.mp4").write_bytes(b"0") and p / "bad.mp4", "cannot be read as a video"),
        (lambda p: [np.zeros((9, 9), np.uint8), np.zeros((9, 12), np.uint8)], "one size"),
        (lambda p: 7, "not read"),
    ],
)
def test_what_is_no_clip_is_told_in_words(tmp_path, make, words):
    with pytest.raises(AnomalyError, match=words):
        detector().decision_function(make(tmp_path))


def test_a_frame_that_would_unpack_to_far_more_than_it_packs_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", b"0" * 50_000_000)
    with pytest.raises(AnomalyError, match="no frame"):
        open_clips(path)


def test_names_in_a_zip_are_never_paths_to_write_to(tmp_path):
    inside = tmp_path / "deep" / "here"
    inside.mkdir(parents=True)
    zipped(inside / "clip.zip", tiny_clip(1, 3)[0], "../../out/")
    with pytest.raises(AnomalyError, match="no images"):
        open_clips(inside / "clip.zip")
    assert not (tmp_path / "out").exists()


def test_too_few_frames_are_told(tmp_path):
    with pytest.raises(AnomalyError, match="at least 20"):
        make_detector("video").fit(tiny_clip(0, 10)[0])


# --- motion -------------------------------------------------------------------------------------------------------
def test_flow_finds_how_far_a_texture_was_shifted():
    picture = torch.nn.functional.interpolate(
        torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(0)), size=(80, 120), mode="bicubic"
    )[0]
    found = flow(picture, torch.roll(picture, (1, 3), (1, 2)))[0, :, 20:60, 30:90].mean((1, 2))
    assert found.tolist() == pytest.approx([3, 1], abs=0.2)


def test_flow_is_nothing_where_nothing_moves():
    picture = torch.rand(1, 40, 60, generator=torch.Generator().manual_seed(0))
    assert flow(picture, picture).abs().max() < 1e-4


def test_usual_speed_grows_towards_the_rows_where_things_are_near():
    motion = torch.zeros(30, 5, 10, 12)
    motion[:, 0, :, ::3] = 0.5 + 0.2 * torch.arange(10.0)[:, None]
    motion[:, 4] = 1.0
    usual = perspective(motion)
    assert usual.tolist() == pytest.approx((0.5 + 0.2 * np.arange(10)).tolist(), rel=1e-3)
    assert perspective(torch.zeros(3, 5, 4, 4)).tolist() == [1, 1, 1, 1]


# --- events -------------------------------------------------------------------------------------------------------
def test_runs_bridge_short_gaps_and_never_join_clips():
    flags = np.zeros(30, bool)
    flags[[2, 3, 6, 14, 15, 19, 20]] = True
    offsets = np.array([0, 20, 30])
    assert runs(flags, np.arange(30), offsets, gap=2) == [(2, 7), (14, 16), (19, 20), (20, 21)]


def test_a_clip_without_a_frame_rate_has_no_times():
    assert clock(57, 10.0) == "0:05.70"
    assert clock(57, None) is None


def test_a_cart_is_one_event_with_its_frames_its_place_and_its_speed():
    found = min(detector().detect(odd_clip(), alpha=0.05), key=lambda d: d.p_value)
    region = found.regions[0]
    assert (found.sample, found.index) == (f"frames {region.start} to {region.end - 1}", region.start)
    told = set(range(region.start, region.end))
    assert len(told & set(CART)) >= 4
    assert len(told - set(CART)) <= 3
    cart = tiny_clip(99, 40, CART)[1][region.frame]
    assert min(region.box[2], cart[2]) - max(region.box[0], cart[0]) > 0
    assert min(region.box[3], cart[3]) - max(region.box[1], cart[1]) > 0
    motion = next(part for part in found.parts if part.name == "motion")
    assert motion.observed > 2 * motion.expected
    assert found.map.shape == (48, 64)


def test_a_mended_clip_equals_the_input_outside_and_scores_lower():
    clip = odd_clip()
    where = np.asarray(detector().anomaly_map(clip)) >= 1
    mended = detector().counterfactual(clip, where=where)
    assert mended.shape == clip.shape
    assert np.array_equal(mended[~where], clip[~where])
    cart = list(CART)
    assert detector().decision_function(mended)[cart].mean() < detector().decision_function(clip)[cart].mean()


def test_a_mask_of_another_size_is_told():
    with pytest.raises(AnomalyError, match="one mask a frame"):
        detector().counterfactual(odd_clip(), where=np.zeros((3, 48, 64), bool))
    with pytest.raises(AnomalyError, match="mask of frame 0"):
        detector().counterfactual(odd_clip(), where=np.zeros((40, 40, 64), bool))


def test_colour_clips_are_refused_by_a_detector_of_grey_ones_and_larger_frames_are_fitted_in():
    colour = np.stack([odd_clip(), odd_clip() // 2, odd_clip() // 3], axis=3)
    with pytest.raises(AnomalyError, match="colours"):
        detector().decision_function(colour)
    large = odd_clip().repeat(2, axis=1).repeat(2, axis=2)
    assert detector().anomaly_map(large).shape == large.shape
    truth = np.isin(np.arange(40), list(CART))
    assert auroc(truth, detector().decision_function(large)) > 0.9
