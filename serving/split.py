"""Shares out the results of one call among the requests whose images were scored together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.metric import Scores


@dataclass(frozen=True)
class Answer:
    """The part of the results that belongs to one request of n images.

    Attributes:
        error: why the request fails; None if all its images have a score.
        scores: float32 `[n, 1]`.
        details: float32 `[n, D]` or None.
        maps: float32 `[n, h, w]` or None; the images of a request are of one size.
    """

    error: str | None
    scores: NDArray[np.float32]
    details: NDArray[np.float32] | None
    maps: NDArray[np.float32] | None


def split(results: Scores, counts: Sequence[int]) -> Iterator[Answer]:
    """The answers to requests of `counts` images each, in order.

    Triton knows no half answers: a request fails if one of its images does.

    Raises:
        ValueError: the counts do not add up to the number of results.
    """
    if sum(counts) != len(results.values):
        raise ValueError(f"{len(results.values)} results for {sum(counts)} images")
    end = 0
    for count in counts:
        start, end = end, end + count
        yield Answer(
            _first_error(results.errors[start:end]),
            results.values[start:end, None].astype(np.float32),
            None if results.details is None else results.details[start:end].astype(np.float32),
            None if results.maps is None else _stacked(results.maps[start:end]),
        )


def _stacked(maps: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    made = [each for each in maps if each is not None]
    return np.stack(made) if len(made) == len(maps) else None


def _first_error(errors: Sequence[ItemError | None]) -> str | None:
    for position, error in enumerate(errors, 1):
        if error is not None:
            where = f" (image {position} of {len(errors)})" if len(errors) > 1 else ""
            return f"{error}{where}"
    return None
