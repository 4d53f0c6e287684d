"""Files are there whole or not at all, here and in a store; what cannot be read says why."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from bulk.files import open_whole
from bulk.items import Item, Problem
from bulk.reading import read_items


class BrokenError(Exception):
    """The writer fails."""


def break_off(url: str) -> None:
    with open_whole(url) as file:
        file.write(b"half")
        raise BrokenError


def assert_whole_or_not_there(url: str) -> None:
    files, name = fsspec.url_to_fs(url)
    with pytest.raises(BrokenError):
        break_off(url)
    assert not files.exists(name)
    with open_whole(url) as file:
        file.write(b"first")
    with pytest.raises(BrokenError):
        break_off(url)
    files.invalidate_cache()
    assert files.cat_file(name) == b"first"
    assert [Path(each).name for each in files.ls(files._parent(name), detail=False)] == ["out"]


def test_on_a_disk_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    assert_whole_or_not_there(f"{tmp_path}/new/out")


@pytest.mark.usefixtures("bucket")
def test_in_a_store_a_file_is_whole_or_not_there() -> None:
    assert_whole_or_not_there("s3://bucket/new/out")


def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file for itself, one that a store fails to give as a whole request included."""
    files = fsspec.filesystem("memory")
    files.pipe_file("/reading/a", b"far")
    (tmp_path / "b").write_bytes(b"near")
    (tmp_path / "folder").mkdir()
    paths = [
        "memory://reading/a", "memory://reading/none", f"{tmp_path}/b", f"{tmp_path}/none",
        f"{tmp_path}/folder", "a\0b", "nostore://x/y",
    ]  # fmt: skip
    found = [contents for (contents,) in read_items([Item(path) for path in paths])]
    assert [found[0], found[2]] == [b"far", b"near"]
    missing = Problem("unreadable_file", "There is no such file.")
    assert [found[1], found[3]] == [missing, missing]
    for problem, reason in zip(found[4:], ["Is a directory", "null", "nostore"], strict=True):
        assert isinstance(problem, Problem)
        assert problem.code == "unreadable_file"
        assert reason in problem.message

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(type(files), "cat_ranges", fail)
    ((problem,), (near,)) = read_items([Item("memory://reading/a"), Item(f"{tmp_path}/b")])
    assert problem == Problem("unreadable_file", "The file cannot be read: no route")
    assert near == b"near"
