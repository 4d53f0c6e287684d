"""On real Ray: a cluster of two workers, of which one dies on the way, and one of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import ray
from pyarrow import dataset
from ray.cluster_utils import Cluster

from bulk.main import main
from tests.bulk.conftest import write_picture

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
CORES = 3  # of each worker, in Ray's books
PICTURES = 400


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the processes of Ray that a test starts."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else what else runs here comes first


@pytest.fixture
def cluster(environment: None) -> Iterator[Cluster]:  # noqa: ARG001 it is there first
    """A head that computes nothing."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten different pictures under many names, in pieces of a few, and a file that is none."""
    folder = tmp_path / "pictures"
    for seed in range(10):
        write_picture(folder / f"{seed}.jpg", seed)
    for number in range(10, PICTURES - 1):
        (folder / f"{number}.jpg").hardlink_to(folder / f"{number % 10}.jpg")
    (folder / "bad.jpg").write_bytes(b"not a picture")
    return folder


def scores(folder: str, metric: str) -> dict[str, tuple[object, ...]]:
    """By path, each of which must stand once."""
    files, name = fsspec.url_to_fs(folder)
    rows = dataset.dataset(name, filesystem=files).to_table().to_pylist()
    columns = metric, "reference", "error_code", "width", "bytes"
    found = {row["path"]: tuple(row[column] for column in columns) for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.timeout(600)
def test_every_row_once_though_a_worker_dies(
    cluster: Cluster, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.cluster.BLOCK_BYTES", 200_000)  # a dozen pictures
    cluster.add_node(num_cpus=CORES)
    victim = cluster.add_node(num_cpus=CORES)
    cluster.wait_for_nodes()
    output = tmp_path / "out"
    is_killed = threading.Event()

    def kill() -> None:
        while not list(output.glob("*.parquet")):
            if is_killed.wait(0.02):
                return
        cluster.remove_node(victim, allow_graceful=False)
        is_killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        status = main([str(pictures), "--output", str(output), "--ray", cluster.address])
    finally:
        was_killed = is_killed.is_set()
        is_killed.set()
        killer.join()
    assert was_killed
    assert status == 0
    assert main([str(pictures), "--output", f"{tmp_path}/here"]) == 0
    on_ray = scores(str(output), "brisque")
    assert len(on_ray) == PICTURES
    assert on_ray == scores(f"{tmp_path}/here", "brisque")


@pytest.mark.timeout(600)
def test_pairs_of_a_bucket_on_this_machine_are_resumed(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    for number in range(6):
        write_picture(tmp_path / "originals" / f"{number}.png", number)
        write_picture(tmp_path / "copies" / f"{number}.webp", number)
    (tmp_path / "copies" / "5.webp").write_bytes(b"not a picture")
    for folder in ("originals", "copies"):
        bucket.put(str(tmp_path / folder), f"bucket/{folder}", recursive=True)
    manifest = tmp_path / "pairs.csv"
    command = [str(manifest), "--reference-column", "original", "--output"]
    on_ray = [*command, "s3://bucket/out/", "--ray", "local"]

    def run(pairs: int, *options: str) -> dict[str, bytes]:
        """The parts after a run over so many pairs, of which the first ones stay the same."""
        rows = [f"s3://bucket/copies/{n}.webp,s3://bucket/originals/{n}.png" for n in range(pairs)]
        manifest.write_text("\n".join(["path,original", *rows]))
        assert main([*on_ray, *options]) == 0
        bucket.invalidate_cache()
        paths = bucket.ls("bucket/out", detail=False)
        return {path: bucket.cat_file(path) for path in paths if path.endswith(".parquet")}

    first = run(3)
    assert main(on_ray) == 2  # would mix two runs
    second = run(6, "--resume")
    assert second.items() > first.items()
    assert main([*command, f"{tmp_path}/here"]) == 0
    found = scores("s3://bucket/out/", "ms_ssim")
    assert len(found) == 6
    assert found == scores(f"{tmp_path}/here", "ms_ssim")
