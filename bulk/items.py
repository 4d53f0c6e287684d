"""What is scored: a picture, or a picture and the original that it is compared with."""

from __future__ import annotations

from typing import NamedTuple


class UsageError(Exception):
    """What was asked for cannot be done; the message says what to ask for instead."""


class Problem(NamedTuple):
    """Why an item, or one of its files, has no score.

    Attributes:
        code: stable name, column `error_code`.
        message: one sentence, column `error`.
    """

    code: str
    message: str


class Item(NamedTuple):
    """One row of the output.

    Attributes:
        path: path or URL of the picture.
        reference: of the original; None where there is none.
        problem: what is wrong with it, known before a file is read.
    """

    path: str
    reference: str | None = None
    problem: Problem | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """What is to be read, in the order of a metric's inputs: the picture comes last."""
        if self.problem:
            return ()
        return (self.path,) if self.reference is None else (self.reference, self.path)
