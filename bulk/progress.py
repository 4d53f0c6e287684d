"""Says how far a run is: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from bulk.inputs import Source
from bulk.items import UsageError
from bulk.rows import Row

LINES_EVERY = 5.0  # seconds


@dataclass
class State:
    """How far a run is.

    Attributes:
        done: rows that are there.
        errors: how many of them have an error.
        total: how many there will be; None while that is not known.
        held: how many of them an earlier run wrote.
    """

    done: int = 0
    errors: int = 0
    total: int | None = None
    held: int = 0
    _start: float = field(default_factory=time.monotonic)

    def add(self, rows: Sequence[Row]) -> None:
        """Rows are done."""
        self.done += len(rows)
        self.errors += sum(row.get("error_code") is not None for row in rows)

    @property
    def rate(self) -> float:
        """Rows of this run a second."""
        return (self.done - self.held) / max(time.monotonic() - self._start, 1e-9)

    def __str__(self) -> str:
        is_known = self.total is not None and self.rate > 0
        left = f", {((self.total or 0) - self.done) / self.rate:.0f} s left" if is_known else ""
        of_all = f" of {self.total}" if self.total is not None else ""
        return f"{self.done}{of_all}, {self.rate:.1f}/s, {self.errors} errors{left}"


@contextmanager
def shown(state: State, source: Source) -> Iterator[Callable[[], None]]:
    """Counts the source on a thread meanwhile; what it gives is called when the state changed."""
    threading.Thread(target=_count, args=(state, source), daemon=True).start()
    console = Console(stderr=True)
    with _bar(console, state) if console.is_terminal else _lines(console, state) as show:
        yield show


@contextmanager
def _bar(console: Console, state: State) -> Iterator[Callable[[], None]]:
    numbers = TextColumn("{task.fields[rate]:.1f}/s, {task.fields[errors]} errors, left:")
    columns = BarColumn(), MofNCompleteColumn(), numbers, TimeRemainingColumn()
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=None, rate=0.0, errors=0)
        yield lambda: bar.update(
            task, completed=state.done, total=state.total, rate=state.rate, errors=state.errors
        )


@contextmanager
def _lines(console: Console, state: State) -> Iterator[Callable[[], None]]:
    last = time.monotonic()

    def show() -> None:
        nonlocal last
        if time.monotonic() - last >= LINES_EVERY:
            last = time.monotonic()
            console.out(str(state), highlight=False)

    yield show


def _count(state: State, source: Source) -> None:
    with suppress(UsageError):  # the run itself meets it and says so
        state.total = sum(1 for _ in source())
