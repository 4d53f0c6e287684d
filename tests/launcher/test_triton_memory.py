"""Triton's shared memory goes when its launcher is dead, and not before."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.triton.shared_memory import DIRECTORY
from launcher.triton_memory import TritonMemory, remove_leftovers
from tests.leftovers import mistaken_once

# Claims its memory, tells its prefix, and lives until its input ends.
OWNER = """
import sys
from gateway.triton.shared_memory import DIRECTORY
from launcher.triton_memory import TritonMemory
memory = TritonMemory()
memory.claim()
(DIRECTORY / f"{memory.prefix}region").touch()
print(memory.prefix, flush=True)
sys.stdin.read()
"""


def owned(prefix: str) -> set[str]:
    return {path.name.removeprefix(prefix[:-1]) for path in DIRECTORY.glob(f"{prefix[:-1]}*")}


def test_memory_of_a_dead_launcher_is_removed_and_that_of_a_living_one_kept() -> None:
    pipe = subprocess.PIPE
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=pipe, stdout=pipe, text=True)
    assert owner.stdout
    prefix = owner.stdout.readline().strip()
    memory = TritonMemory()
    try:
        memory.claim()
        assert owned(prefix) == {".lock", "-region"}
        owner.kill()
        owner.communicate()
        following = TritonMemory()
        following.claim()
        following.release()
        assert owned(prefix) == set()
    finally:
        owner.kill()
        memory.release()


def test_what_a_dead_triton_left_is_removed_and_the_claim_stays() -> None:
    memory = TritonMemory()
    memory.claim()
    Path(DIRECTORY, f"{memory.prefix}region").touch()
    memory.remove()
    assert owned(memory.prefix) == {".lock"}
    Path(DIRECTORY, f"{memory.prefix}region").touch()
    memory.release()
    assert owned(memory.prefix) == set()


def test_a_claim_that_was_taken_for_a_leftover_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = TritonMemory()
    remove_leftovers()
    monkeypatch.setattr("launcher.triton_memory.remove_leftovers", lambda: None)
    mistaken_once(monkeypatch, remove_leftovers)
    memory.claim()
    assert owned(memory.prefix) == {".lock"}
    memory.release()
    assert owned(memory.prefix) == set()
