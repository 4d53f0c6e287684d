"""From and to a bucket, by the S3 of a local server."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from pyarrow import dataset

from bulk import listing
from bulk.listing import Entry, entries
from bulk.main import main


def test_a_bucket(bucket: fsspec.AbstractFileSystem, photos: Path, tmp_path: Path) -> None:
    bucket.put(str(photos), "bucket/2026", recursive=True)
    command = ["s3://bucket/2026/**/*.*g", "--output", "s3://bucket/scores/", "--part-rows", "5"]
    assert main(command) == 0
    assert main([str(photos), "--output", f"{tmp_path}/here"]) == 0
    bucket.invalidate_cache()
    there = dataset.dataset("bucket/scores", filesystem=bucket).to_table().to_pylist()
    here = dataset.dataset(f"{tmp_path}/here").to_table().to_pylist()
    names = [row["path"].removeprefix("s3://bucket/2026/") for row in there]
    assert names == [Path(row["path"]).relative_to(photos).as_posix() for row in here]
    assert [row["brisque"] for row in there] == [row["brisque"] for row in here]
    assert len(bucket.ls("bucket/scores")) == 3
    assert main([*command, "--resume"]) == 0
    bucket.invalidate_cache()
    assert len(bucket.ls("bucket/scores")) == 3  # nothing was missing
    assert main(["s3://bucket/2026/nowhere.jpg", "--output", f"{tmp_path}/one.csv"]) == 0
    assert "There is no such file." in (tmp_path / "one.csv").read_text()


def test_a_folder_is_listed_as_its_pages_come(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", *"abcdefgh", ".hidden", "below/x"):
        bucket.pipe_file(f"bucket/flat/{name}", b"1") if name else bucket.touch("bucket/flat/")
    calls: list[str] = []
    call = type(bucket)._call_s3

    async def counted(files: object, method: str, *args: object, **options: object) -> object:
        calls.append(method)
        return await call(files, method, *args, **options)

    monkeypatch.setattr(type(bucket), "_call_s3", counted)
    monkeypatch.setattr(bucket, "req_kw", {"MaxKeys": 3})
    monkeypatch.setattr(listing, "PIECE", 4)
    found = entries("s3://bucket/flat")
    first = next(found)
    assert calls == ["list_objects_v2"] * 2
    assert first == Entry("a", False)
    names = ("a", "b", "below", *"cdefgh")
    assert sorted([first, *found]) == [Entry(name, name == "below") for name in names]
    assert len(calls) == 4
    with pytest.raises(FileNotFoundError):
        list(entries("s3://bucket/none"))
    with pytest.raises(FileNotFoundError):
        list(entries("s3://nobodys-bucket/x"))
