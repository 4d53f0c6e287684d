"""From and to a bucket, by the S3 of a local server."""

from __future__ import annotations

from pathlib import Path

import fsspec
from pyarrow import dataset

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
