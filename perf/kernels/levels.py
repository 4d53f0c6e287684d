"""The kernels at several levels of the instruction set: `python -m perf.kernels --level v3,v4`.

Each level runs in a process of its own, as a process compiles for one. The processes take turns, so
that a ratio holds on a machine that others use too. Run as a program, this module is one of them:
it reads tasks, one a line, and answers with the milliseconds that each took.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from time import process_time

import numpy as np

from iqa.catalogue import METRICS
from perf.load.pictures import picture_set, read_pixels

SLICE = 0.1  # seconds that a task is repeated for in each round


def tasks() -> dict[str, Callable[[], object]]:
    """Every CPU kernel on a pair of pictures of 768x512, and of a row and a column less."""
    pair = picture_set()[0]
    x, y = read_pixels(pair.original), read_pixels(pair.distorted)
    calls: dict[str, Callable[[], object]] = {}
    for metric in METRICS:
        for suffix, rows, channels in (("", 0, 3), (" odd", 1, 3), (" luma", 0, 1)):
            height, width = x.shape[0] - rows, x.shape[1] - rows
            images = [
                [np.ascontiguousarray(image[:height, :width, :channels])] for image in (x, y)
            ][: len(metric.inputs)]
            calls[metric.name + suffix] = partial(metric.score, *images, threads=1)
    return calls


def _milliseconds(call: Callable[[], object]) -> float:
    """Least processor time of a call in a slice of time."""
    best, spent = float("inf"), 0.0
    while spent < SLICE:
        start = process_time()
        call()
        took = process_time() - start
        best, spent = min(best, took), spent + took
    return best * 1e3


def _answer() -> None:
    calls = tasks()
    for call in calls.values():
        call()
    print(*calls, sep=",", flush=True)
    for line in sys.stdin:
        print(_milliseconds(calls[line.strip()]), flush=True)


@contextmanager
def _process(level: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "perf.kernels.levels"]
    environment = {**os.environ, "IQA_SIMD_LEVEL": level}
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def _ask(process: subprocess.Popen[str], task: str) -> float:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{task}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def compare(levels: list[str], rounds: int) -> list[dict[str, float | str]]:
    """One row per task: milliseconds at each level, and how many times the last one's these are."""
    with ExitStack() as stack:
        processes = {level: stack.enter_context(_process(level)) for level in levels}
        names: list[str] = []
        for process in processes.values():
            assert process.stdout
            names = process.stdout.readline().strip().split(",")
        times = {
            name: [[_ask(process, name) for process in processes.values()] for _ in range(rounds)]
            for name in names
        }
    rows: list[dict[str, float | str]] = []
    for name in names:
        own = np.array(times[name])
        row: dict[str, float | str] = {"task": name}
        for level, column in zip(levels, own.T, strict=True):
            row[f"{level} ms"] = float(np.median(column))
            row[f"{level} ratio"] = float(np.median(column / own[:, -1]))
        rows.append(row)
    return rows


def print_comparison(levels: list[str], rounds: int) -> None:
    """Print what `compare` found."""
    for row in compare(levels, rounds):
        columns = [f"{level} {row[f'{level} ms']:8.3f} ms" for level in levels]
        ratios = [f"{level} / {levels[-1]}: {row[f'{level} ratio']:.2f}" for level in levels[:-1]]
        print(f"{row['task']:16}", *columns, *ratios, sep="  ")


if __name__ == "__main__":
    _answer()
