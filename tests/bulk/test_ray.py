"""On a real Ray cluster of two workers, of which one dies on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head that computes nothing; workers inherit this environment."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else what else runs here comes first
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


def scores(output: Path) -> dict[str, tuple[object, ...]]:
    """By path, each of which must stand once."""
    rows = dataset.dataset(str(output)).to_table().to_pylist()
    found = {row["path"]: (row["brisque"], row["error_code"], row["width"]) for row in rows}
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
    on_ray = scores(output)
    assert len(on_ray) == PICTURES
    assert on_ray == scores(tmp_path / "here")
