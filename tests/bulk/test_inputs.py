"""What the arguments name: files, folders, patterns, manifests, pairs; here and behind URLs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from bulk.inputs import folder_pairs, pictures
from bulk.items import UsageError
from bulk.listing import PIECE, entries


def paths(*names: str) -> list[str]:
    return [item.path for item in pictures(names, "path", None)()]


def test_a_folder_gives_its_pictures_before_those_below_it(photos: Path) -> None:
    names = [Path(path).relative_to(photos).as_posix() for path in paths(str(photos))]
    assert names == [
        *(f"{n}.jpg" for n in range(8)),
        "bad.jpg",
        *(f"below/{n}.png" for n in (10, 8, 9)),
    ]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("*.jpg", 9),
        ("**/*.png", 3),
        ("*/*.png", 3),
        ("[0-3].jpg", 4),
        ("?.jpg", 8),
        ("**/[89].*", 2),
    ],
)
def test_patterns(photos: Path, pattern: str, count: int) -> None:
    assert len(paths(f"{photos}/{pattern}")) == count


def test_a_file_whose_name_looks_like_a_pattern_is_itself(photos: Path) -> None:
    odd = photos / "[1].jpg"
    odd.write_bytes(b"")
    assert paths(str(odd)) == [str(odd)]


def test_hidden_files_and_linked_folders_are_left_out(photos: Path) -> None:
    (photos / "._0.jpg").write_bytes(b"")
    (photos / "loop").symlink_to(photos)
    assert len(paths(str(photos))) == 12


def test_a_large_folder_starts_before_it_is_listed(tmp_path: Path) -> None:
    for number in range(2 * PIECE + 1):
        (tmp_path / f"{number}.jpg").touch()
    first = list(islice(entries(str(tmp_path)), PIECE))
    assert first == sorted(first)
    assert len({entry.name for entry in entries(str(tmp_path))}) == 2 * PIECE + 1


def test_urls(memory: fsspec.AbstractFileSystem) -> None:
    for name in ("a/1.jpg", "a/b/2.webp", "a/b/c.txt"):
        memory.pipe(f"/{name}", b"")
    assert paths("memory://a") == ["memory://a/1.jpg", "memory://a/b/2.webp"]
    assert paths("memory://a/**/*.webp") == ["memory://a/b/2.webp"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_manifest_keeps_its_order(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"n": [1, 2, 3], "file": ["b.jpg", None, "007"], "of": ["x", "y", "z"]})
    name = f"{tmp_path}/manifest.{suffix}"
    csv.write_csv(table, name) if suffix == "csv" else parquet.write_table(table, name)
    items = list(pictures([name], "file", "of")())
    assert [item.path for item in items] == ["b.jpg", "", "007"]
    assert [item.reference for item in items] == ["x", "y", "z"]
    assert [item.problem and item.problem.code for item in items] == [None, "unreadable_file", None]
    with pytest.raises(UsageError, match="no column 'path'"):
        list(pictures([name], "path", None)())


def test_a_long_manifest_is_read_piece_by_piece(tmp_path: Path) -> None:
    rows = 600_000
    name = f"{tmp_path}/long.parquet"
    table = pa.table({"path": [f"{number:090}" for number in range(rows)]})
    whole = table.nbytes
    parquet.write_table(table, name, row_group_size=10_000)
    del table
    before, most = pa.total_allocated_bytes(), 0
    for number, _ in enumerate(pictures([name], "path", None)(), 1):
        if number % 10_000 == 0:
            most = max(most, pa.total_allocated_bytes())
    assert number == rows
    assert most - before < whole / 2


@pytest.mark.parametrize("name", ["nowhere/*.jpg", "nowhere.csv", "memory://nowhere/", "xyz://a"])
def test_what_does_not_exist_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"nowhere|xyz"):
        paths(name if "://" in name else f"{tmp_path}/{name}")


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no picture"):
        paths(str(tmp_path))


def test_pairs_match_by_path_without_suffix(tmp_path: Path) -> None:
    for name in ("a.png", "d/b.png", "lonely.png", "two.png", "two.jpg", "only/here.png"):
        (tmp_path / "originals" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "originals" / name).touch()
    for name in ("a.webp", "a.avif", "d/b.jpg", "b.jpg", "two.webp"):
        (tmp_path / "copies" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copies" / name).touch()
    originals, copies = f"{tmp_path}/originals", f"{tmp_path}/copies"
    items = [
        (
            item.path.removeprefix(f"{copies}/"),
            item.reference and item.reference.removeprefix(f"{originals}/"),
            item.problem and item.problem.code,
        )
        for item in folder_pairs(originals, copies)()
    ]
    assert items == [
        ("a.avif", "a.png", None),
        ("a.webp", "a.png", None),
        ("b.jpg", None, "no_partner"),
        ("lonely", "lonely.png", "no_partner"),
        ("two.webp", None, "several_originals"),
        ("d/b.jpg", "d/b.png", None),
        ("only/here", "only/here.png", "no_partner"),
    ]
