"""Uploads: what is kept, where, and what is refused in one sentence."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from assistant.chat.intake import Limits, Upload, safe_name, take_in
from detectors.errors import AnomalyError


def file(folder: Path, name: str, data: bytes = b"x") -> Upload:
    path = folder / "in" / f"{abs(hash(name))}{Path(name).suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return Upload(path, name)


def zipped(folder: Path, members: dict[str, bytes], name: str = "data.zip") -> Upload:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for member, data in members.items():
            made.writestr(member, data)
    return file(folder, name, buffer.getvalue())


def nothing_kept(root: Path) -> bool:
    return not any((root / "uploads").iterdir()) if (root / "uploads").is_dir() else True


def test_one_file_is_the_source_itself(tmp_path):
    kept = take_in(tmp_path, [file(tmp_path, "new.csv", b"a\n1\n")])
    assert (kept.name, kept.read_text()) == ("new.csv", "a\n1\n")
    assert kept.is_relative_to(tmp_path / "uploads")


def test_a_folder_keeps_its_shape(tmp_path):
    kept = take_in(tmp_path, [file(tmp_path, "clips/a/0.png"), file(tmp_path, "clips/b/0.png")])
    assert sorted(str(p.relative_to(kept)) for p in kept.rglob("*.png")) == ["a/0.png", "b/0.png"]


def test_files_of_one_name_stand_beside_each_other(tmp_path):
    kept = take_in(tmp_path, [file(tmp_path, "a.png", b"1"), Upload(file(tmp_path, "b.png", b"2").path, "a.png")])
    assert sorted(path.name for path in kept.iterdir()) == ["a.png", "a_2.png"]


def test_a_zip_is_unpacked_without_what_systems_add(tmp_path):
    kept = take_in(tmp_path, [zipped(tmp_path, {"p/1.png": b"1", "p/2.png": b"2", "__MACOSX/p/._1.png": b"n"})])
    assert sorted(path.name for path in kept.rglob("*") if path.is_file()) == ["1.png", "2.png"]


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "..\\x.png", "C:\\x.png", "", "."])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(AnomalyError, match="leads out of its folder"):
        safe_name(name)
    with pytest.raises(AnomalyError):
        take_in(tmp_path, [zipped(tmp_path, {name or ".": b"x", "ok.png": b"x"}), file(tmp_path, "b.png")])
    assert nothing_kept(tmp_path)
    assert not (tmp_path / "x.png").exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with pytest.raises(AnomalyError, match="times its size"):
        take_in(tmp_path, [zipped(tmp_path, {"zeros.csv": bytes(80_000_000)})])
    assert nothing_kept(tmp_path)


def test_a_zip_that_lies_about_its_size_is_stopped_while_it_is_unpacked(tmp_path):
    upload = zipped(tmp_path, {"a.csv": bytes(3_000_000)})
    data = upload.path.read_bytes()
    size, lie = (3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    upload.path.write_bytes(data.replace(size, lie))
    with pytest.raises(AnomalyError):
        take_in(tmp_path, [upload], Limits(total=1_000_000))
    assert nothing_kept(tmp_path)


@pytest.mark.parametrize(
    ("members", "limits", "told"),
    [
        ({}, Limits(), "is empty"),
        ({"a.csv": bytes(2000)}, Limits(total=1000), "GB unpacked"),
        ({f"{i}.png": b"x" for i in range(9)}, Limits(files=5), "9 files; 5 are taken"),
        ({"inner.zip": b"x"}, Limits(), "holds another zip"),
        ({"/".join("abcdefghij") + "/x.png": b"x"}, Limits(depth=5), "folders deep"),
    ],
)
def test_what_a_zip_may_not_hold_is_said_in_one_sentence(tmp_path, members, limits, told):
    with pytest.raises(AnomalyError, match=told):
        take_in(tmp_path, [zipped(tmp_path, members)], limits)
    assert nothing_kept(tmp_path)


def test_links_in_a_zip_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    with pytest.raises(AnomalyError, match="holds a link"):
        take_in(tmp_path, [file(tmp_path, "links.zip", buffer.getvalue())])


def test_a_damaged_zip_and_no_zip_at_all_are_refused(tmp_path):
    for data in (b"no zip", zipped(tmp_path, {"a.csv": b"x" * 5000}, "cut.zip").path.read_bytes()[:60]):
        with pytest.raises(AnomalyError, match="damaged or no zip"):
            take_in(tmp_path, [file(tmp_path, "bad.zip", data)])
    assert nothing_kept(tmp_path)


def test_nothing_and_too_much_are_refused(tmp_path):
    with pytest.raises(AnomalyError, match="no data yet"):
        take_in(tmp_path, [])
    with pytest.raises(AnomalyError, match="too many"):
        take_in(tmp_path, [file(tmp_path, "a.png")] * 3, Limits(files=2))
