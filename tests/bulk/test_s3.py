"""From and to a bucket, by the S3 of a local server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import dataset

from bulk.main import main


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")  # any will do
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").clear_instance_cache()
    try:
        files = fsspec.filesystem("s3")
        files.mkdir("bucket")
        yield files
    finally:
        fsspec.filesystem("s3").clear_instance_cache()
        server.stop()


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
