"""Slots never overlap, are handed out in order, and come back whole."""

import asyncio
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.triton.shared_memory import DIRECTORY, PREFIX, remove_leftovers
from gateway.triton.slots import ALIGNMENT, LARGE, Region
from tests.leftovers import mistaken_once


def names() -> set[str]:
    return {path.name for path in DIRECTORY.glob(f"{PREFIX}{os.getpid()}-*")}


async def test_slots_do_not_overlap_and_merge_again() -> None:
    region = Region(64 * ALIGNMENT, shared=False)
    slots = []
    for _ in range(500):
        if slots and random.random() < 0.5:
            slots.pop(random.randrange(len(slots))).release()
        else:
            wanted = region.slot(random.randrange(1, 9 * ALIGNMENT))
            try:
                slots.append(await asyncio.wait_for(wanted, 0.001))
            except TimeoutError:
                slots.pop(0).release()
        taken = sorted((slot.offset, slot.offset + slot.size) for slot in slots)
        assert all(end <= start for (_, end), (start, _) in pairwise(taken))
    for slot in slots:
        slot.release()
    whole = await region.slot(region.size)
    assert (whole.offset, whole.size) == (0, region.size)


async def test_first_come_first_served() -> None:
    region = Region(4 * ALIGNMENT, shared=False)
    held = await region.slot(3 * ALIGNMENT)
    large = asyncio.ensure_future(region.slot(2 * ALIGNMENT))
    small = asyncio.ensure_future(region.slot(1))
    await asyncio.sleep(0)
    assert not large.done()
    assert not small.done()  # though there is room for it
    held.release()
    assert (await large).size == 2 * ALIGNMENT
    assert (await small).size == ALIGNMENT


async def test_a_cancelled_wait_lets_the_next_one_through() -> None:
    region = Region(2 * ALIGNMENT, shared=False)
    held = await region.slot(ALIGNMENT)
    large = asyncio.ensure_future(region.slot(2 * ALIGNMENT))
    small = asyncio.ensure_future(region.slot(ALIGNMENT))
    await asyncio.sleep(0)
    large.cancel()
    slot = await asyncio.wait_for(small, 1)
    held.release()
    slot.release()
    assert (await region.slot(2 * ALIGNMENT)).offset == 0


async def test_a_slot_granted_to_a_cancelled_wait_is_not_lost() -> None:
    region = Region(ALIGNMENT, shared=False)
    held = await region.slot(1)
    waiting = asyncio.ensure_future(region.slot(1))
    await asyncio.sleep(0)
    held.release()  # grants the slot...
    waiting.cancel()  # ...which the waiter never sees
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await asyncio.wait_for(region.slot(1), 1)).offset == 0


def test_shared_memory_is_reserved_named_and_removed() -> None:
    before = names()
    region = Region(1 << 20, shared=True)
    assert region.key is not None
    path = Path(DIRECTORY, region.key[1:])
    assert path.stat().st_blocks * 512 >= 1 << 20
    assert path.stat().st_mode & 0o777 == 0o600
    region.memory[:3] = (1, 2, 3)
    assert path.read_bytes()[:3] == b"\x01\x02\x03"
    assert names() - before == {path.name}
    region.unlink()
    assert names() == before


def test_more_shared_memory_than_there_is_leaves_nothing_behind() -> None:
    before = names()
    with pytest.raises(OSError, match="No space left"):
        Region(1 << 50, shared=True)
    assert names() == before


async def test_large_private_slots_return_their_memory() -> None:
    region = Region(2 * LARGE, shared=False)
    slot = await region.slot(LARGE)
    slot.memory[:] = 7
    slot.release()
    assert not (await region.slot(LARGE)).memory.any()


def test_regions_of_dead_workers_are_removed_and_those_of_living_ones_kept() -> None:
    code = (
        "import sys; from gateway.triton.slots import Region; region = Region(1, shared=True); "
        "print(region.key, flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as worker:
        assert worker.stdout
        path = Path(DIRECTORY, worker.stdout.readline().decode().strip()[1:])
        remove_leftovers()
        assert path.exists()
        worker.kill()
    remove_leftovers()
    assert not path.exists()


def test_a_region_that_was_taken_for_a_leftover_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistaken_once(monkeypatch, remove_leftovers)
    region = Region(1, shared=True)
    assert region.key is not None
    assert region.key[1:] in names()
    region.unlink()
