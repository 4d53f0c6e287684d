"""Pieces come back in order, on no more threads than allowed."""

from __future__ import annotations

import os
import threading

import pytest

from iqa.parallel import available_cores, parallel_map


def test_results_keep_the_order_of_the_items() -> None:
    assert parallel_map(lambda item: item * item, range(100), 4) == [i * i for i in range(100)]
    assert parallel_map(str, [], None) == []


def test_one_piece_or_one_thread_stays_on_the_calling_thread() -> None:
    here = threading.get_ident()
    assert parallel_map(lambda _: threading.get_ident(), [1], 8) == [here]
    assert set(parallel_map(lambda _: threading.get_ident(), range(5), 1)) == {here}


def test_threads_run_at_the_same_time_up_to_the_number_allowed() -> None:
    barrier = threading.Barrier(3)  # broken unless three items are under way together
    assert len(parallel_map(lambda _: barrier.wait(10), range(3), 3)) == 3
    identities = parallel_map(lambda _: threading.get_ident(), range(50), 3)
    assert len(set(identities)) <= 3


def test_a_failure_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        parallel_map(lambda item: 1 // item, [1, 0, 2], 2)


def test_cores_are_those_the_process_may_run_on() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert available_cores() == len(allowed)
