"""The image measurement on a tiny set in MVTec's folders."""

import numpy as np
import pytest
import torch
from conftest import tiny_picture
from PIL import Image

from detectors import AnomalyError
from detectors.bench.images import as_json, as_markdown, load_case, measure, padim, patch_knn


@pytest.fixture(scope="session")
def tiny_bench(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    folder = root / "parts"
    for part in ("train/good", "test/good", "test/blot", "ground_truth/blot"):
        (folder / part).mkdir(parents=True)
    for i in range(44):
        Image.fromarray(tiny_picture(rng)).save(folder / "train/good" / f"{i:03d}.png")
    for i in range(4):
        picture, mask = tiny_picture(rng), np.zeros((48, 48), np.uint8)
        Image.fromarray(picture).save(folder / "test/good" / f"{i:03d}.png")
        picture[10:20, 12:22], mask[10:20, 12:22] = 20, 255
        Image.fromarray(picture).save(folder / "test/blot" / f"{i:03d}.png")
        Image.fromarray(mask).save(folder / "ground_truth/blot" / f"{i:03d}_mask.png")
    return root


def test_a_method_is_measured_on_a_set_of_folders(tiny_bench):
    rows = measure(tiny_bench, sets=["parts"], methods=("likelihood",))
    assert [row["method"] for row in as_json(rows)] == ["likelihood (filters)", "likelihood (pixels)"]
    assert min(row.image_auroc for row in rows) > 0.9
    assert min(row.aupro for row in rows) > 0.5
    assert "| likelihood (pixels) |" in as_markdown(rows)


def test_a_set_that_is_not_there_is_told(tiny_bench):
    with pytest.raises(AnomalyError, match="transistor"):
        load_case(tiny_bench, "nothing")


@pytest.mark.parametrize("baseline", [padim, patch_knn])
def test_baselines_find_a_displaced_cell(baseline):
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randn(n, 6, 5, 4, generator=generator) for n in (60, 3))
    test[1, :, 2, 3] += 8
    maps = baseline(train, test, 0)
    assert maps.shape == (3, 5, 4)
    assert int(maps.flatten().argmax()) == 1 * 20 + 2 * 4 + 3
