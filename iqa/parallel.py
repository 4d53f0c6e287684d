"""Spreads the independent pieces of a batch over the cores that the process may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="iqa-kernel")


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int | None
) -> list[Result]:
    """`function` of each item, in order, on at most `threads` threads (None: all cores).

    The calling thread is one of them. Each takes the next item when it is done with one, which
    costs less than to hand over every item. The function must release the GIL for its bulk and
    depend on nothing but its item, so that the results do not depend on the number of threads.
    """
    threads = min(threads or available_cores(), len(items))
    if threads <= 1:
        return [function(item) for item in items]
    waiting = iter(range(len(items)))  # no index is given twice, as one step of it is atomic
    results: dict[int, Result] = {}

    def work() -> None:
        for index in waiting:
            results[index] = function(items[index])

    helpers = [_pool(threads).submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for helper in helpers:
            helper.result()
    return [results[index] for index in range(len(items))]
