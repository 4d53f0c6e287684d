"""What the kernel says about processes that are not our own children: those of Triton's models."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def is_living(pid: int) -> bool:
    """Whether it runs; one that died stays as a zombie, as Triton does not reap its children."""
    state = _state_and_parent(pid)
    return state is not None and state[0] != "Z"


def children(parent: int) -> tuple[set[int], set[int]]:
    """Process ids of a process's children: of those that run, and of those that died unreaped.

    Every process is asked for its parent: a thread's own list of children is gone when the thread
    ends, and is moved to another one while somebody reads them one after the other.
    """
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    states = ((pid, _state_and_parent(pid)) for pid in pids)
    found = {pid: state[0] for pid, state in states if state and state[1] == parent}
    dead = {pid for pid, state in found.items() if state == "Z"}
    return found.keys() - dead, dead


def _state_and_parent(pid: int) -> tuple[str, int] | None:
    """State letter and parent as in proc(5); None if there is no such process."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may itself contain some.
    state, parent = stat.rpartition(")")[2].split()[:2]
    return state, int(parent)
