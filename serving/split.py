"""Shares out the results of one call among the requests whose images were scored together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iqa import ItemError


@dataclass(frozen=True)
class Results:
    """What a metric made of a list of items.

    Attributes:
        scores: `[N]`.
        errors: per item, None where it has a score.
        details: `[N, D]` the metric's second output; None where it was not asked for.
        maps: per item `[h, w]`, None where it has no score; None where they were not asked for.
    """

    scores: NDArray[np.float64]
    errors: Sequence[ItemError | None]
    details: NDArray[np.float64] | None = None
    maps: Sequence[NDArray[np.float32] | None] | None = None


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


def split(results: Results, counts: Sequence[int]) -> Iterator[Answer]:
    """The answers to requests of `counts` images each, in order.

    Triton knows no half answers: a request fails if one of its images does.

    Raises:
        ValueError: the counts do not add up to the number of results.
    """
    if sum(counts) != len(results.scores):
        raise ValueError(f"{len(results.scores)} results for {sum(counts)} images")
    end = 0
    for count in counts:
        start, end = end, end + count
        yield Answer(
            _first_error(results.errors[start:end]),
            results.scores[start:end, None].astype(np.float32),
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
