"""Runs items through reading and scoring on threads of this process, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from bulk.items import Item
from bulk.reading import read_items
from bulk.rows import Row
from bulk.scoring import File, score_items
from iqa.metric import Metric

CHUNK = 8  # items that a thread takes at a time
READERS = 4  # threads that read ahead, which mostly wait

Input = TypeVar("Input")
Output = TypeVar("Output")


def score_all(
    items: Iterable[Item], metrics: Sequence[Metric], *, max_pixels: int, threads: int
) -> Iterator[list[Row]]:
    """Rows of items in their order, a few at a time; only so many files are in memory at once.

    Args:
        items: taken as threads get free.
        metrics, max_pixels: see `score_items`.
        threads: that decode and score. Both leave Python's lock, so that threads are enough.
    """

    def read(chunk: list[Item]) -> tuple[list[Item], list[tuple[File, ...]]]:
        return chunk, read_items(chunk)

    def score(read: tuple[list[Item], list[tuple[File, ...]]]) -> list[Row]:
        return score_items(*read, metrics, max_pixels)

    with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(threads) as scorers:
        contents = ordered_map(read, _chunks(items), readers, READERS)
        yield from ordered_map(score, contents, scorers, threads + 1)


def ordered_map(
    function: Callable[[Input], Output], inputs: Iterable[Input], pool: Executor, ahead: int
) -> Iterator[Output]:
    """`function` of each input, in order; at most `ahead` are begun before they are asked for."""
    waiting: deque[Future[Output]] = deque()
    try:
        for each in inputs:
            waiting.append(pool.submit(function, each))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
