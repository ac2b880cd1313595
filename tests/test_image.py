"""Pictures in, regions and mended pictures out: sizes, colours, bad input, backbones."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import tiny_picture
from PIL import Image

from detectors import AnomalyError, load_detector, make_detector
from detectors.density.diffusion_time import DiffusionTime
from detectors.method import Space
from detectors.networks.backbone import Backbone
from detectors.networks.filters import FilterBank, to_cells
from detectors.repair import mend
from detectors.training import Run


def pictures(count: int, seed: int = 0, size: int = 48) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [tiny_picture(rng, size) for _ in range(count)]


def blotted(picture: np.ndarray, box=(14, 12, 26, 24)) -> np.ndarray:
    left, top, right, bottom = box
    out = picture.copy()
    out[top:bottom, left:right] = 25
    return out


@cache
def pixel_detector():
    return make_detector("image", "likelihood", size=48, device="cpu").fit(pictures(60))


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory):
    """An untrained ResNet of a few thousand weights, saved as transformers saves models."""
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12, 16], depths=[1, 1, 1], layer_type="basic")
    folder = tmp_path_factory.mktemp("backbone")
    ResNetModel(config).save_pretrained(folder)
    return folder


def test_cells_of_pixels_keep_the_energy_of_the_picture():
    picture = torch.rand(2, 3, 16, 24)
    cells = to_cells(picture)
    assert cells.shape == (2, 48, 4, 6)
    assert cells.square().sum() == pytest.approx(float(picture.square().sum()), rel=1e-5)


def test_filters_tell_textures_apart_whatever_their_light():
    rng = np.random.default_rng(0)
    fine = torch.from_numpy(rng.standard_normal((1, 1, 96, 96))).float()
    coarse = torch.nn.functional.avg_pool2d(fine, 5, 1, 2) * 5
    bank = FilterBank()
    cells = [bank((0.5 + 0.1 * x + light).expand(-1, 3, -1, -1))[0, 3:].mean((1, 2)) for x, light in
             ((fine, 0.0), (fine, 0.1), (coarse, 0.0))]  # fmt: skip
    assert torch.allclose(cells[0], cells[1], atol=1e-3)
    assert (cells[0] - cells[2]).abs().max() > 0.3
    assert bank(torch.rand(1, 3, 48, 64)).shape[2:] == (12, 16)
    assert bank(torch.rand(1, 3, 128, 96)).shape[2:] == (16, 12)


def test_filters_stand_where_a_backbone_stands(tmp_path):
    detector = make_detector("image", "likelihood", backbone="filters").fit(pictures(44))
    odd = blotted(pictures(1, seed=5)[0])
    scores = detector.decision_function([*pictures(5, seed=3), odd])
    assert scores.argmax() == 5
    detector.save(tmp_path / "model")
    again = load_detector(tmp_path / "model", device="cpu")
    assert np.allclose(again.decision_function([odd]), scores[5:], rtol=1e-5)


def test_a_blot_is_flagged_and_its_region_covers_it():
    odd = blotted(pictures(1, seed=5)[0])
    (found,) = pixel_detector().detect([odd], alpha=0.05)
    left, top, right, bottom = found.regions[0].box
    assert left < 20 < right
    assert top < 18 < bottom
    assert found.regions[0].position == "centre"
    assert found.map.shape == (48, 48)
    assert found.parts[0].observed < found.parts[0].expected
    assert 0 < sum(part.share for part in found.parts) <= 1


def test_normal_pictures_are_mostly_left_alone():
    p = pixel_detector().p_value(pictures(40, seed=7))
    assert (p <= 0.05).mean() < 0.2


def test_maps_come_back_in_each_picture_s_own_size():
    small, large = pictures(1, seed=1)[0], np.asarray(Image.fromarray(pictures(1, seed=2)[0]).resize((70, 64)))
    assert [m.shape for m in pixel_detector().anomaly_map([small, large])] == [(48, 48), (64, 70)]


def test_the_mended_picture_is_the_input_outside_and_scores_lower():
    odd = blotted(pictures(1, seed=5)[0])
    detector = pixel_detector()
    where = np.zeros((48, 48), bool)
    where[11:25, 13:27] = True
    (mended,) = detector.counterfactual([odd], where=[where])
    assert mended.dtype == np.uint8
    assert np.array_equal(mended[~where], odd[~where])
    before, after = detector.decision_function([odd, mended])
    assert after < 0.5 * before
    assert detector.p_value([mended])[0] > 0.05


def test_similar_blots_have_similar_signatures():
    normals = pictures(4, seed=9)
    odd = [blotted(normals[0]), blotted(normals[1]), np.where(normals[2] > 140, 250, normals[2]).astype(np.uint8)]
    one, two, other = (d.signature for d in pixel_detector().detect(odd, alpha=0.05))
    cosine = lambda a, b: float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))  # noqa: E731
    assert cosine(one, two) > cosine(one, other)


def test_grey_is_read_by_a_colour_detector_and_colour_refused_by_a_grey_one():
    assert np.isfinite(pixel_detector().decision_function([pictures(1)[0][..., 0]])).all()
    grey = make_detector("image", "likelihood", size=48).fit([p[..., 0] for p in pictures(24)])
    red = pictures(1)[0].copy()
    red[..., 1:] //= 3
    with pytest.raises(AnomalyError, match="grey"):
        grey.decision_function([red])


def scattered(count: int, seed: int) -> list[np.ndarray]:
    """Four kinds of marks on a grid of 16 pixels, in any order: no place means the same in two pictures."""
    rng = np.random.default_rng(seed)
    marks = np.full((4, 16, 16), 120.0)
    marks[0, 4:12, 4:12], marks[1, 7:9], marks[2, :, 7:9], marks[3, 2:6, 2:6] = 200, 40, 220, 60
    tiled = [marks[rng.integers(4, size=(4, 4))].transpose(0, 2, 1, 3).reshape(64, 64) for _ in range(count)]
    return [(picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8) for picture in tiled]


def test_a_mark_out_of_kind_is_found_where_no_place_means_the_same():
    detector = make_detector("image", "default", backbone="filters", device="cpu").fit(scattered(40, 0))
    assert set(detector.members) == {"gaussian", "patches"}
    odd = scattered(12, 1)
    for picture in odd:
        picture[20:28, 36:44] = np.eye(8, dtype=np.uint8) * 90 + 120
    scores = detector.decision_function([*scattered(12, 2), *odd])
    assert scores[12:].min() > scores[:12].max()
    peaks = [np.unravel_index(m.argmax(), m.shape) for m in detector.anomaly_map(odd)]
    assert all(12 <= y <= 36 and 28 <= x <= 52 for y, x in peaks)


def test_a_mask_is_refused():
    mask = np.zeros((48, 48), np.uint8)
    mask[5:9, 5:9] = 255
    with pytest.raises(AnomalyError, match="mask"):
        pixel_detector().decision_function([mask])


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        ([3], "int"),
        ([np.zeros((4, 4), np.uint8)], "8 x 8"),
        (["no_such_picture.png"], "no_such_picture"),
        ("no_such_folder", "no_such_folder"),
        ([np.full((48, 48), np.nan)], "NaN"),
    ],
)
def test_what_is_no_picture_is_told_in_words(samples, word):
    with pytest.raises(AnomalyError, match=word):
        pixel_detector().decision_function(samples)


def test_a_mask_of_the_wrong_size_is_told():
    with pytest.raises(AnomalyError, match="48 rows"):
        pixel_detector().counterfactual(pictures(1), where=[np.ones((10, 10), bool)])


def test_one_even_colour_cannot_be_learned():
    with pytest.raises(AnomalyError, match="even colour"):
        make_detector("image", "likelihood", size=48).fit([np.full((48, 48, 3), 90, np.uint8)] * 12)


def test_too_few_pictures_are_told():
    with pytest.raises(AnomalyError, match="at least"):
        make_detector("image").fit(pictures(2))


def test_long_pictures_keep_their_aspect():
    long = [np.asarray(Image.fromarray(p).resize((32, 80))) for p in pictures(24)]
    detector = make_detector("image", "likelihood", size=64).fit(long)
    height, width = detector.modality.size
    assert 2 < height / width < 3
    assert detector.anomaly_map(long[:1])[0].shape == (80, 32)


def test_a_local_backbone_is_used_and_saved_with_the_detector(tiny_backbone, tmp_path):
    normals = pictures(44)
    detector = make_detector("image", "likelihood", backbone=tiny_backbone, size=64).fit(normals)
    odd = blotted(pictures(1, seed=5)[0])
    scores = detector.decision_function([*pictures(5, seed=3), odd])
    assert scores.argmax() == 5
    where = np.zeros((48, 48), bool)
    where[9:27, 11:29] = True
    (mended,) = detector.counterfactual([odd], where=[where])
    assert np.array_equal(mended[~where], odd[~where])
    assert detector.decision_function([mended])[0] < scores[5]
    detector.save(tmp_path / "model")
    for file in tiny_backbone.iterdir():
        assert file.exists()
    again = load_detector(tmp_path / "model", device="cpu")
    assert np.allclose(again.decision_function([odd]), scores[5:], rtol=1e-5)


def test_a_transformer_serves_as_backbone(tmp_path):
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=64)
    ViTModel(config).save_pretrained(tmp_path)
    detector = make_detector("image", "likelihood", backbone=tmp_path, size=96).fit(pictures(24))
    assert detector.modality.space.shape[1:] == (6, 6)
    assert np.isfinite(detector.decision_function(pictures(2, seed=4))).all()


class Lopsided(torch.nn.Module):
    """Means over 3 x 3, four times of stride 2, padded below and to the right only."""

    config = SimpleNamespace()

    def forward(self, pixel_values, output_hidden_states):
        states = [pixel_values]
        for _ in range(4):
            padded = torch.nn.functional.pad(states[-1], (0, 1, 0, 1), mode="replicate")
            states.append(torch.nn.functional.avg_pool2d(padded, 3, 2))
        return SimpleNamespace(hidden_states=states)


def test_a_spot_shows_where_it_is_though_the_network_pads_one_side():
    backbone = Backbone(Lopsided(), (0.5,) * 3, (0.25,) * 3)
    backbone.choose_layers(128, 128)
    assert backbone.offsets == pytest.approx([1.5, 3.5, 7.5], abs=0.5)
    middle, apart = (torch.arange(16) + 0.5) * 8 - 0.5, []
    for row, column in ((40, 60), (60, 84), (84, 45), (70, 71)):
        spot = torch.zeros(1, 3, 128, 128)
        spot[..., row - 2 : row + 3, column - 2 : column + 3] = 1
        change = (backbone(spot) - backbone(torch.zeros_like(spot))).abs().sum(1)[0]
        apart += [float((change.sum(1) * middle).sum() / change.sum()) - row]
        apart += [float((change.sum(0) * middle).sum() / change.sum()) - column]
    assert np.abs(apart).max() < 2  # of the 8 pixels of a cell


def test_fine_layers_have_components_of_their_own_which_come_first(tiny_backbone):
    fitted = make_detector("image", "likelihood", backbone=tiny_backbone, size=64, components=12).fit(pictures(24))
    fine, basis = fitted.modality.space.fine, fitted.modality.basis
    assert 0 < fine <= 6
    assert not basis[-16:, :fine].any()
    assert not basis[:8, fine:].any()


@pytest.mark.parametrize("reach", [0, 1, None])
def test_neighbours_of_fine_channels_do_not_hear_the_others(reach):
    x = torch.randn(30, 6, 5, 5, generator=torch.Generator().manual_seed(0))
    method = DiffusionTime(Space("image", (6, 5, 5), aligned=True, fine=2), k=1, reach=reach, fine=True)
    method.fit(x, Run())
    coarse, fine = x[:1].clone(), x[:1].clone()
    coarse[:, 2:] += 3
    fine[:, :2] += 3
    assert torch.equal(method.maps(coarse), method.maps(x[:1]))
    assert method.maps(fine).mean() > method.maps(x[:1]).mean() + 1


@pytest.mark.parametrize("name", ["./no/such/folder", "/nowhere/model"])
def test_a_backbone_that_is_not_there_is_told(name):
    with pytest.raises(AnomalyError, match="does not exist"):
        make_detector("image", backbone=name).fit(pictures(12))


def test_a_folder_without_safetensors_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(AnomalyError, match="safetensors"):
        make_detector("image", backbone=tmp_path).fit(pictures(12))


def test_a_mended_seam_takes_the_light_of_its_surroundings():
    picture = np.full((40, 40, 3), 100, np.uint8)
    content = np.full((40, 40, 3), 160, np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    mended = mend(picture, content, mask)
    assert np.array_equal(mended[~mask], picture[~mask])
    assert np.abs(mended[mask].astype(int) - 100).max() <= 1
