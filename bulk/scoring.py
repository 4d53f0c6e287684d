"""From the files of items to rows of scores: the one function that every way to run calls."""

from __future__ import annotations

import time
from collections.abc import Sequence

import iqa
from bulk.items import Item, Problem
from bulk.rows import Row
from decoding import FORMATS, DecodingError, open_picture, versions
from decoding.formats import starts_like
from iqa.metric import Metric

File = bytes | Problem
"""What a file holds, or why it was not read."""


def score_items(
    items: Sequence[Item],
    files: Sequence[Sequence[File]],
    metrics: Sequence[Metric],
    max_pixels: int,
) -> list[Row]:
    """Score on this thread; the numbers depend on nothing but the files.

    Args:
        items: what to score.
        files: the contents of each item's `files`.
        metrics: which to compute: those of one picture of the last file, those of two of both.
        max_pixels: most pixels of a picture.

    Returns:
        a row for each item, see `bulk.rows.schema`; nothing about a file raises an error.
    """
    return [
        _score(item, contents, metrics, max_pixels)
        for item, contents in zip(items, files, strict=True)
    ]


def _score(item: Item, files: Sequence[File], metrics: Sequence[Metric], max_pixels: int) -> Row:
    start = time.perf_counter()
    row: Row = {"path": item.path, "reference": item.reference, "version": iqa.__version__}
    try:
        problem = item.problem or _fill(row, files, metrics, max_pixels)
    except DecodingError as error:
        problem = Problem(error.code, error.message)
    except Exception as error:  # a fault of ours must not cost the rows of all other files
        problem = Problem("internal_error", f"{type(error).__name__}: {error}")
    if problem:
        row["error_code"], row["error"] = problem
    row["seconds"] = time.perf_counter() - start
    return row


def _fill(
    row: Row, files: Sequence[File], metrics: Sequence[Metric], max_pixels: int
) -> Problem | None:
    """Write what is known of the picture; returns the first thing that went wrong.

    Raises:
        DecodingError: a file is not decoded.
    """
    unread = next((file for file in files if isinstance(file, Problem)), None)
    if not isinstance(files[-1], Problem):
        row["bytes"] = len(files[-1])
        row["format"] = _format(files[-1])
    if unread:
        return unread
    pictures = [
        open_picture(memoryview(file), max_pixels=max_pixels)
        for file in files
        if not isinstance(file, Problem)
    ]
    row["width"], row["height"] = pictures[-1].width, pictures[-1].height
    seen = versions(pictures)
    problem = None
    for metric in metrics:
        count = len(metric.inputs)
        shown = seen[:1] if count == 1 else seen
        inputs = zip(*(images[-count:] for images in shown), strict=True)
        scored = metric.score(*map(list, inputs), threads=1)
        if error := next(filter(None, scored.errors), None):
            problem = problem or Problem(error.code, error.message)
        else:
            row[metric.name] = min(scored.values.tolist(), key=metric.rank)
    return problem


def _format(file: bytes) -> str | None:
    """Pillow's name of the format, by the first bytes."""
    return next((name for name in FORMATS if starts_like(name, file[:16])), None)
