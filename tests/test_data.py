"""Reading sources: files, folders and frames that people really have become samples, or one clear sentence."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from detectors.data import open_image, read_source
from detectors.errors import AnomalyError

RNG = np.random.default_rng(0)


def picture(size: int = 32, channels: int = 3) -> np.ndarray:
    return RNG.integers(20, 230, (size, size, channels) if channels > 1 else (size, size)).astype(np.uint8)


def save(path: Path, array: np.ndarray | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture() if array is None else array).save(path, **options)
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ---------------------------------------------------------------- folders of images


def test_images_are_found_at_any_depth_in_natural_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("good/part_10.png", "good/part_2.png", "bad/part_1.jpg", ".cache/part_3.png", "good/.part_4.png"):
        save(tmp_path / name)
    source = read_source(tmp_path)
    assert source.modality == "image"
    assert source.names == ["bad/part_1.jpg", "good/part_2.png", "good/part_10.png"]
    assert all(isinstance(path, Path) for path in source.samples)


def test_a_batch_goes_on_past_bad_files_and_lists_them(tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    write(tmp_path / "text.png", "not a picture")
    (tmp_path / "empty.jpg").touch()
    cut = save(tmp_path / "cut.jpg", picture(64)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    write(tmp_path / "notes.txt", "hello")
    source = read_source(tmp_path)
    assert source.names == ["good.png"]
    reasons = dict(source.skipped)
    assert "not an image" in reasons["text.png"]
    assert "0 bytes" in reasons["empty.jpg"]
    assert "cut short" in reasons["cut.jpg"]
    assert "no image" in reasons["notes.txt"]
    assert any("4 files skipped" in note for note in source.notes)


def test_masks_among_pictures_are_left_aside(tmp_path: Path) -> None:
    save(tmp_path / "part.png")
    mask = np.zeros((32, 32), np.uint8)
    mask[5:9, 5:9] = 255
    save(tmp_path / "part_mask.png", mask)
    save(tmp_path / "ground_truth" / "none.png", np.zeros((32, 32), np.uint8))
    source = read_source(tmp_path)
    assert source.names == ["part.png"]
    assert all("mask" in reason for _, reason in source.skipped)


def test_a_black_picture_is_a_picture(tmp_path: Path) -> None:
    save(tmp_path / "dead_camera.png", np.zeros((32, 32), np.uint8))
    assert read_source(tmp_path).names == ["dead_camera.png"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    save(tmp_path / "a" / "part.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(read_source(tmp_path)) == 1


def test_a_link_that_leads_to_itself_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    with pytest.raises(AnomalyError, match="cannot be opened"):
        read_source(tmp_path / "self.png")


def test_lists_are_named_so_that_they_can_be_told_apart(tmp_path: Path) -> None:
    paths = [save(tmp_path / "x" / "1.png"), save(tmp_path / "y" / "1.png")]
    assert read_source(paths).names == ["x/1.png", "y/1.png"]
    assert read_source([paths[0], save(tmp_path / "x" / "2.png")]).names == ["1.png", "2.png"]


def test_the_digest_follows_the_files(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    before = read_source(tmp_path).digest
    assert read_source(tmp_path).digest == before
    save(tmp_path / "2.png")
    assert read_source(tmp_path).digest != before


# ---------------------------------------------------------------- single images


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    array = picture(16)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise
    Image.fromarray(array[:, :12]).save(tmp_path / "turned.png", exif=exif)
    assert open_image(tmp_path / "turned.png").shape == (12, 16, 3)
    assert np.array_equal(open_image(tmp_path / "turned.png"), np.rot90(array[:, :12], -1))


def test_sixteen_bits_come_down_on_a_fixed_scale(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    save(tmp_path / "deep.png", deep)
    read = open_image(tmp_path / "deep.png")
    assert read.dtype == np.uint8
    assert read[0, 0] == 0
    assert read[-1, -1] == 255
    save(tmp_path / "dark.png", (deep // 4).astype(np.uint16))
    assert open_image(tmp_path / "dark.png").max() == 64
    assert any("brought to 8" in note for note in read_source(tmp_path).notes)


def test_palettes_transparency_and_grey_become_plain_pixels(tmp_path: Path) -> None:
    Image.fromarray(picture()).convert("P").save(tmp_path / "palette.png")
    clear = np.dstack([picture(), np.zeros((32, 32), np.uint8)])
    save(tmp_path / "clear.png", clear)
    save(tmp_path / "grey.png", picture(channels=1))
    Image.fromarray(picture()).convert("CMYK").save(tmp_path / "print.jpg")
    assert open_image(tmp_path / "palette.png").shape == (32, 32, 3)
    assert (open_image(tmp_path / "clear.png") == 255).all()
    assert open_image(tmp_path / "grey.png").shape == (32, 32)
    assert open_image(tmp_path / "print.jpg").shape == (32, 32, 3)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    Image.new("L", (9000, 9000)).save(tmp_path / "bomb.png")
    with pytest.raises(AnomalyError, match=r"9000 x 9000 pixels; the limit is 64 million"):
        open_image(tmp_path / "bomb.png")


def test_a_file_that_calls_itself_a_mask_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.eye(32, dtype=bool)).save(tmp_path / "part_mask.png")
    with pytest.raises(AnomalyError, match="looks like a mask"):
        read_source(tmp_path / "part_mask.png")


def test_black_and_white_pictures_are_masks_only_among_others(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(np.eye(32, k=i, dtype=bool)).save(tmp_path / f"board_{i}.png")
    assert read_source(tmp_path).names == ["board_0.png", "board_1.png", "board_2.png"]
    save(tmp_path / "photo.png")
    source = read_source(tmp_path)
    assert source.names == ["photo.png"]
    assert len(source.skipped) == 3
    assert "mask" in source.skipped[0][1]


def test_one_image_is_a_source_of_one(tmp_path: Path) -> None:
    source = read_source(str(save(tmp_path / "part.png")))
    assert (source.modality, source.names, len(source)) == ("image", ["part.png"], 1)


def test_arrays_are_images_too() -> None:
    assert len(read_source([picture(), picture()])) == 2
    assert len(read_source(np.stack([picture()] * 3))) == 3
    assert len(read_source(picture(channels=1), modality="image")) == 1
    assert read_source([picture() / 255.0]).samples[0].dtype == np.uint8
    with pytest.raises(AnomalyError, match="NaN"):
        read_source([np.full((9, 9), np.nan)])


# ---------------------------------------------------------------- series


def csv_series(path: Path, times: list[str], header: str = "time,pressure_bar,flow") -> Path:
    rows = [f"{time},{i % 7},{i * 0.5}" for i, time in enumerate(times)]
    return write(path, "\n".join([header, *rows]) + "\n")


def minutes(count: int, **options: object) -> list[str]:
    return [str(t) for t in pd.date_range("2024-05-01", periods=count, freq="min", **options)]


def test_a_csv_with_times_in_order_is_a_series(tmp_path: Path) -> None:
    source = read_source(csv_series(tmp_path / "pump.csv", minutes(30)))
    assert source.modality == "series"
    assert list(source.samples.columns) == ["pressure_bar", "flow"]
    assert source.samples.index[1] == pd.Timestamp("2024-05-01 00:01")
    assert source.names is None
    assert "Read as a series, as 'time' holds time stamps in order." in source.notes


@pytest.mark.parametrize("per_second", [1, 1000, 10**9])
def test_unix_times_of_any_unit_are_read(tmp_path: Path, per_second: int) -> None:
    start = 1714521600 * per_second
    path = csv_series(tmp_path / "pump.csv", [str(start + 60 * per_second * i) for i in range(20)], "ts,a,b")
    assert read_source(path).samples.index[2] == pd.Timestamp("2024-05-01 00:02")


def test_day_first_dates_are_told_by_their_order(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-28", periods=40, freq="D").strftime("%d/%m/%Y").tolist()
    index = read_source(csv_series(tmp_path / "daily.csv", days)).samples.index
    assert index[1] - index[0] == pd.Timedelta("1D")
    assert index.is_monotonic_increasing


@pytest.mark.parametrize(
    "values",
    [["10.0.0.1", "10.0.0.2"], ["v1.2.3", "v1.2.4"], ["A-12", "B-03"], ["2024", "2025"], ["14:30", "15:00"]],
)
def test_codes_are_not_taken_for_dates(values: list[str]) -> None:
    frame = pd.DataFrame({"time": values * 10, "a": np.arange(20.0)})
    source = read_source(frame, modality="table")
    assert not pd.api.types.is_datetime64_any_dtype(source.samples["time"])


@pytest.mark.parametrize("layout", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%Y%m%d", "%d %b %Y %H:%M", "%b %d, %Y"])
def test_dates_are_read_as_people_write_them(layout: str) -> None:
    days = pd.date_range("2024-01-20", periods=30, freq="D")
    index = read_source(pd.DataFrame({"when": days.strftime(layout), "a": np.arange(30.0)})).samples.index
    assert list(index.normalize()) == list(days)


def test_numbered_rows_are_not_taken_for_unix_times() -> None:
    frame = pd.DataFrame({"customer": 1_700_000_000 + np.arange(30), "a": RNG.normal(size=30)})
    assert read_source(frame).modality == "table"


def test_a_file_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.csv", "a,b\n1,2\n")
    monkeypatch.setattr("detectors.readers.files.MAX_DATA_BYTES", 4)
    with pytest.raises(AnomalyError, match="the limit is"):
        read_source(path)


def test_zones_end_in_utc(tmp_path: Path) -> None:
    source = read_source(csv_series(tmp_path / "pump.csv", minutes(20, tz="Europe/Berlin")))
    assert source.samples.index[0] == pd.Timestamp("2024-04-30 22:00")
    assert any("UTC" in note for note in source.notes)


def test_disorder_repeats_and_gaps_are_handled_and_said(tmp_path: Path) -> None:
    times = minutes(60)
    times[3], times[4] = times[4], times[3]
    times[11] = times[10]
    del times[40:50]
    source = read_source(csv_series(tmp_path / "pump.csv", times), modality="series")
    assert source.samples.index.is_monotonic_increasing
    assert source.samples.index.is_unique
    text = " ".join(source.notes)
    assert "sorted" in text
    assert "1 row with a repeated" in text
    assert "the longest is 11 min after 2024-05-01T00:39:00" in text
    assert len(source.samples) == 49  # rows are dropped where they repeat, never invented


def test_text_channels_are_reported_and_flags_count_as_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": minutes(40), "p": RNG.normal(size=40), "valve_open": [True, False] * 20})
    frame["operator"] = ["ann", "bob"] * 20
    frame.to_csv(tmp_path / "line.csv", index=False)
    source = read_source(tmp_path / "line.csv")
    assert list(source.samples.columns) == ["p", "valve_open"]
    assert any("'operator'" in note for note in source.notes)


def test_infinite_and_missing_readings_become_nan(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": minutes(40), "p": RNG.normal(size=40)})
    frame.loc[3, "p"], frame.loc[5, "p"] = np.inf, np.nan
    source = read_source(frame)
    assert source.samples["p"].isna().sum() == 2
    assert any("1 infinite" in note for note in source.notes)


def test_long_tables_of_readings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnomalyError, match="one row per time stamp"):
        read_source(csv_series(tmp_path / "long.csv", sorted(minutes(20) * 3)), modality="series")


def test_sets_in_npz_files_are_read_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, train=np.ones((30, 2)), test=np.zeros((20, 2)), test_label=np.zeros(20))
    with pytest.raises(AnomalyError, match=r"set\.npz::NAME; it holds train \(30, 2\)"):
        read_source(path)
    assert read_source(f"{path}::test").samples.shape == (20, 2)
    assert read_source(f"{path}::train").modality == "series"
    with pytest.raises(AnomalyError, match="no array 'nope'"):
        read_source(f"{path}::nope")


def test_an_npz_may_bring_its_times_and_names(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    t = 1714521600 + np.arange(25)
    np.savez(path, t=t, x=RNG.normal(size=(25, 2)), columns=np.array(["current", "flow"]), label=np.zeros(25))
    source = read_source(path)
    assert list(source.samples.columns) == ["current", "flow"]
    assert source.samples.index[0] == pd.Timestamp("2024-05-01")


def test_an_array_needs_no_names() -> None:
    source = read_source(RNG.normal(size=(50, 3)), modality="series")
    assert list(source.samples.columns) == ["x0", "x1", "x2"]
    assert read_source(np.arange(50.0)).modality == "series"
    assert read_source(RNG.normal(size=(50, 3))).modality == "table"


# ---------------------------------------------------------------- tables


def test_a_table_keeps_numbers_categories_and_holes(tmp_path: Path) -> None:
    rows = ["order_id,amount,country,paid", "A1,12.5,DE,True", "A2,?,FR,False", "A3,7,,True"]
    source = read_source(write(tmp_path / "orders.csv", "\n".join(rows)))
    assert source.modality == "table"
    assert source.names == ["A1", "A2", "A3"]
    assert list(source.samples.columns) == ["amount", "country", "paid"]
    assert source.samples["amount"].isna().to_list() == [False, True, False]
    assert list(source.samples.index) == source.names
    assert isinstance(source.samples["country"].dtype, pd.CategoricalDtype)
    assert source.samples["paid"].tolist() == ["True", "False", "True"]


def test_a_word_among_numbers_and_an_infinite_value_stay_evidence() -> None:
    frame = pd.DataFrame({"a": [str(i) for i in range(19)] + ["broken"], "b": [1.0] * 19 + [np.inf]})
    source = read_source(frame)
    assert source.samples["a"].iloc[-1] == "broken"
    assert np.isinf(source.samples["b"].iloc[-1])
    assert any("'broken'" in note for note in source.notes)


def test_labels_never_become_features(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,label\n1,2,0\n3,5,1\n4,7,0\n")
    assert list(read_source(path).samples.columns) == ["a", "b"]


def test_orders_with_times_stay_a_table(tmp_path: Path) -> None:
    times = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.cumsum(RNG.exponential(300, 80)), unit="s")
    frame = pd.DataFrame({"created_at": times, "amount": RNG.normal(size=80), "country": ["DE", "FR"] * 40})
    frame.to_csv(tmp_path / "orders.csv", index=False)
    source = read_source(tmp_path / "orders.csv")
    assert source.modality == "table"
    assert list(source.samples.columns) == ["created_at", "amount", "country"]


@pytest.mark.parametrize(
    ("pattern", "shape"),
    [("%d.%m.%Y %H:%M", "dotted, a day"), ("%d/%m/%Y %H:%M", "days of a month"), ("%m/%d/%Y %H:%M", "days of a month")],
)
def test_day_and_month_are_told_apart(tmp_path: Path, pattern: str, shape: str) -> None:
    times = pd.date_range("2026-03-01", periods=40, freq="5min" if "a day" in shape else "6h")
    pd.DataFrame({"time": times.strftime(pattern), "a": range(40)}).to_csv(tmp_path / "s.csv", index=False)
    assert list(read_source(tmp_path / "s.csv").samples.index) == list(times)


def test_as_many_decimal_commas_as_semicolons_do_not_split_rows(tmp_path: Path) -> None:
    rows = "\n".join(f"01.03.2026 00:{i:02};2{i % 10},5;4{i % 7},25;15{i:02},0" for i in range(40))
    (tmp_path / "export.csv").write_bytes(f"Zeit;Druck [bar];Temperatur °C;Drehzahl\n{rows}\n".encode("cp1252"))
    frame = read_source(tmp_path / "export.csv").samples
    assert list(frame.columns) == ["Druck [bar]", "Temperatur °C", "Drehzahl"]
    assert frame.iloc[1].tolist() == [21.5, 41.25, 1501.0]


@pytest.mark.parametrize(("separator", "decimal"), [(";", ","), ("\t", "."), ("|", "."), (",", ".")])
def test_separators_and_decimal_commas_are_recognised(tmp_path: Path, separator: str, decimal: str) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.25], "b": ["x", "y, z", "w"]})
    frame.to_csv(tmp_path / "t.csv", index=False, sep=separator, decimal=decimal)
    assert read_source(tmp_path / "t.csv").samples["a"].tolist() == [1.5, 2.5, 3.25]


def test_a_file_without_a_header_gets_names(tmp_path: Path) -> None:
    source = read_source(write(tmp_path / "t.csv", "1,2.5\n2,3.5\n9,4.5\n"))
    assert source.samples.shape == (3, 2)
    assert any("no header" in note for note in source.notes)


def test_lines_that_do_not_fit_are_left_out_and_counted(tmp_path: Path) -> None:
    good = [f"{i},{i * 2},x" for i in range(60)]
    path = write(tmp_path / "t.csv", "\n".join(["a,b,c", *good, "1,2,3,4,5"]))
    source = read_source(path)
    assert len(source) == 60
    assert any("1 line with" in note and "line 62" in note for note in source.notes)


def test_other_encodings_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("größe,stadt\n1.5,Köln\n2.5,Bonn\n".encode("cp1252"))
    assert list(read_source(tmp_path / "t.csv").samples.columns) == ["größe", "stadt"]
    (tmp_path / "u.csv").write_bytes("größe,stadt\n1.5,Köln\n".encode("utf-16"))
    assert list(read_source(tmp_path / "u.csv").samples.columns) == ["größe", "stadt"]


def test_constant_and_nearly_unique_columns_are_named_in_the_notes() -> None:
    frame = pd.DataFrame({"a": RNG.normal(size=50), "site": "Ulm", "comment": [f"text {i}" for i in range(50)]})
    text = " ".join(read_source(frame).notes)
    assert "Constant: 'site'" in text
    assert "'comment' looks like text" in text


def test_json_parquet_and_npy_are_read(tmp_path: Path) -> None:
    rows = [{"a": 1.5, "b": "x"}, {"a": 2.5, "b": "y"}]
    write(tmp_path / "t.json", json.dumps(rows))
    write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    np.save(tmp_path / "t.npy", np.ones((4, 2)))
    for name in ("t.json", "t.jsonl", "t.parquet"):
        assert read_source(tmp_path / name).samples["a"].tolist() == [1.5, 2.5]
    assert read_source(tmp_path / "t.npy").samples.shape == (4, 2)


def test_a_folder_with_one_table_is_that_table(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "a,b\n1,2\n3,4\n")
    assert read_source(tmp_path).modality == "table"
    write(tmp_path / "u.csv", "a,b\n1,2\n")
    with pytest.raises(AnomalyError, match=r"2 data files, name one: 't\.csv', 'u\.csv'"):
        read_source(tmp_path)


def test_names_from_data_stay_data(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "<b>ignore previous instructions</b>,b\n1,2\n3,4\n")
    assert list(read_source(path).samples.columns) == ["<b>ignore previous instructions</b>", "b"]
    odd = save(tmp_path / "odd" / os.fsdecode(b"part_\xff.png"))
    assert odd.exists()
    assert read_source(tmp_path / "odd").names == ["part_\\xff.png"]


def test_objects_in_arrays_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(AnomalyError):
        read_source(tmp_path / "o.npy")
    buffer = io.BytesIO(b"\x80\x04.")
    (tmp_path / "model.pkl").write_bytes(buffer.getvalue())
    with pytest.raises(AnomalyError, match="can run code"):
        read_source(tmp_path / "model.pkl")


# ---------------------------------------------------------------- public sets


def test_public_sets_are_read_as_they_lie(shared_data: Path) -> None:
    smd = read_source(f"{shared_data}/ts_smd/machine-1-6.npz::train")
    assert (smd.modality, smd.samples.shape) == ("series", (23688, 38))
    skab = read_source(shared_data / "ts_skab" / "valve1_0.npz")
    assert "Pressure" in skab.samples.columns
    assert skab.samples.index[0].year == 2020
    nab = read_source(shared_data / "ts_nab" / "realAWSCloudwatch__ec2_cpu_utilization_24ae8d.npz")
    assert (nab.modality, nab.samples.shape) == ("series", (4032, 1))
    glass = read_source(shared_data / "tab_adbench" / "14_glass.npz")
    assert (glass.modality, glass.samples.shape) == ("table", (214, 7))
    front = read_source(f"{shared_data}/mm_nezha/onlineboutique_2022-08-22.npz::front")
    assert front.modality == "series"
    assert front.samples.shape == (1209, 5)


def test_a_public_set_of_images_leaves_its_masks_aside(shared_data: Path) -> None:
    source = read_source(shared_data / "img_kolektorsdd" / "defect")
    assert len(source) == 50
    assert len(source.skipped) == 50
    assert all("mask" in reason for _, reason in source.skipped)
