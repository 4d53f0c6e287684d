"""Folders of pictures for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import httpx
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

SIDE = 176  # pixels; MS-SSIM needs 161


def write_picture(path: Path, seed: int, side: int = SIDE) -> None:
    """A picture of smooth random content, of which no two are alike."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (11, 11, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
    noisy = (image + random.normal(0, 1 + seed % 20, image.shape)).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eleven pictures in two folders, and one that is none."""
    for seed in range(8):
        write_picture(tmp_path / "photos" / f"{seed}.jpg", seed)
    for seed in range(8, 11):
        write_picture(tmp_path / "photos" / "below" / f"{seed}.png", seed)
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"not a picture")
    (tmp_path / "photos" / "notes.txt").write_text("no picture by its suffix")
    return tmp_path / "photos"


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's file system in memory, empty."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """An empty bucket of a local server, which processes that start now find, too."""
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
        httpx.post(f"http://127.0.0.1:{port}/moto-api/reset")  # it outlives its server
        server.stop()
