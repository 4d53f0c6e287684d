"""One run from inputs to output, here or on a cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from types import FrameType
from typing import Protocol

from bulk import outputs, parts
from bulk.inputs import Source
from bulk.items import Item, UsageError
from bulk.pipeline import score_all
from bulk.progress import State, shown
from bulk.rows import Row, schema
from iqa.metric import Metric


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        source: the items.
        metrics: what to score them by.
        output: a folder, a file or `-`, see `bulk.outputs`.
        max_pixels: most pixels of a picture.
        resume: leave out what the folder holds.
        threads: that decode and score.
        part_rows: rows of a part.
    """

    source: Source
    metrics: tuple[Metric, ...]
    output: str
    max_pixels: int
    resume: bool
    threads: int
    part_rows: int


class Listener(Protocol):
    """What looks at every row of the output."""

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows, in their order."""


def check_output(output: str, resume: bool) -> int:
    """The number of the first part to write; 0 for a single file.

    Raises:
        UsageError: rows would be lost, or cannot be resumed.
    """
    if not outputs.is_folder_of_parts(output):
        if resume:
            raise UsageError(f"--resume needs parts: name a folder as --output, not {output}.")
        return 0
    numbers = parts.numbers(output)
    if numbers and not resume:
        raise UsageError(f"{output} holds parts: --resume goes on with it; or name another folder.")
    return max(numbers, default=-1) + 1


def run_here(job: Job, listeners: Sequence[Listener]) -> bool:
    """Score on this machine; the listeners get all rows, those of an earlier run first.

    Returns:
        whether all is done; the first Ctrl-C ends it when what was begun is written.

    Raises:
        UsageError: an input or the output is not to be used; what was scored before is written.
    """
    first_part = check_output(job.output, job.resume)
    columns, state, held = schema(job.metrics), State(), parts.Held()
    if first_part:
        for rows in parts.rows(job.output, columns):
            held.add(rows)
            for listener in (state, *listeners):
                listener.add(rows)
        state.held = state.done
    items = job.source()
    items = held.without(chain([next(items)], items))  # the output is made if there is an item
    write_to = (
        outputs.parts(job.output, columns, job.part_rows, first_part)
        if outputs.is_folder_of_parts(job.output)
        else outputs.single_file(job.output, columns)
    )
    failure = None
    with _stopped_by_signal() as stopped, write_to as write, shown(state, job.source) as show:
        wanted = _until(stopped, items)
        scored = score_all(wanted, job.metrics, max_pixels=job.max_pixels, threads=job.threads)
        try:
            for rows in scored:
                write(rows)
                for listener in (state, *listeners):
                    listener.add(rows)
                show()
        except UsageError as error:
            failure = error
    if failure:
        raise failure
    return not stopped.is_set()


def _until(stopped: threading.Event, items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        if stopped.is_set():
            return
        yield item


@contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second one interrupts as usual."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
