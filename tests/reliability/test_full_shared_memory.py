"""A full /dev/shm refuses only what needs more of it, and is not remembered."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from perf.load import faults
from perf.load.exchanges import Exchange, singles
from perf.load.pictures import photograph
from perf.load.traffic import Traffic
from tests.conftest import RunningService, running
from tests.reliability.conftest import THEIR_METRICS

SIZE = 256  # mebibytes
# Runs a command that sees a /dev/shm of its own.
MOUNT = f"mount -t tmpfs -o size={SIZE}m tmpfs /dev/shm"
OWN_MEMORY = ("unshare", "--map-root-user", "--mount", "sh", "-c", f'{MOUNT} && exec "$@"', "sh")


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[RunningService]:
    """A service that can fill its /dev/shm without harm to others."""
    if subprocess.run([*OWN_MEMORY, "true"], check=False).returncode:
        pytest.skip("needs the right to mount a file system in a namespace of its own")
    options = ("--workers=2", THEIR_METRICS)
    memory = {"wrapper": OWN_MEMORY, "IQA_SHM_MEGABYTES": "8"}
    with running(tmp_path / "log", *options, **memory) as service:
        yield service


def fill(directory: Path) -> Path:
    """Make a file of all the space that is left."""
    filler = directory / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(SIZE << 20))
    return filler


async def test_a_full_shared_memory_refuses_only_what_needs_more_of_it(
    confined: RunningService, exchanges: list[Exchange]
) -> None:
    large = list(singles([photograph(3600, 2400)]))
    triton = faults.members(confined.process.pid, "tritonserver")[0]
    async with Traffic(confined.url, exchanges) as small:
        await small.more(len(exchanges))
        filler = fill(Path(f"/proc/{triton.pid}/root/dev/shm"))
        async with Traffic(confined.url, large, clients=2) as refused:
            await small.more(2 * len(exchanges))
    refusals = refused.tally.refused["out_of_memory"]
    assert refusals > 0, refused.tally
    # A large one is right where it found what small ones had taken before the rest was filled.
    assert refused.tally.total == refused.tally.right + refusals, refused.tally
    filler.unlink()
    async with Traffic(confined.url, [*exchanges, *large]) as traffic:
        await traffic.more(2 * len(exchanges))
    assert traffic.tally.right == traffic.tally.total, traffic.tally
    assert small.tally.wrong == []
    assert small.tally.lost == []
    assert set(small.tally.refused) <= {"out_of_memory"}, small.tally
