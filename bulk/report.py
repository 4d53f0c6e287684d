"""One page without outside resources: how scores are spread, the worst, the best, and pairs."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader
from PIL import Image

from bulk.files import open_whole
from bulk.items import Problem
from bulk.reading import read_files
from bulk.rows import Row
from bulk.summary import Column, Summary
from decoding import DecodingError, read

BINS = 40
POINTS = 4000  # most that a scatter shows
THUMBNAIL = 240  # pixels of its longer side
WIDTH, HEIGHT = 640, 240  # of a diagram


class Mark(NamedTuple):
    """A bar or a point of a diagram, in its pixels.

    Attributes:
        x, y: of the left upper corner or the centre.
        width, height: of a bar.
        label: shown under the pointer.
    """

    x: float
    y: float
    width: float = 0
    height: float = 0
    label: str = ""


class Picture(NamedTuple):
    """A row of the worst or the best.

    Attributes:
        score: as text.
        path: of the picture.
        url: a `data:` URL of its thumbnail; empty if the file is gone.
    """

    score: str
    path: str
    url: str


class Report:
    """Collects what the page shows besides a summary."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary
        self._scatters = [Scatter(column) for column in summary.columns]

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows."""
        for scatter in self._scatters:
            scatter.add(rows)

    def write(self, url: str) -> None:
        """Write the page; reads the pictures that it shows once more."""
        page = Environment(loader=PackageLoader("bulk", "."), autoescape=True)
        sections = [
            {
                "metric": column.metric,
                "count": len(column.values),
                "bars": histogram(column),
                "limits": [min(column.values), max(column.values)] if column.values else [],
                "points": scatter.points(),
                "bits": scatter.limit,
                "worst": [_picture(row, column) for row in column.worst],
                "best": [_picture(row, column) for row in column.best],
            }
            for column, scatter in zip(self._summary.columns, self._scatters, strict=True)
        ]
        text = page.get_template("report.html.jinja").render(
            summary=self._summary, sections=sections, width=WIDTH, height=HEIGHT
        )
        with open_whole(url) as file:
            file.write(text.encode())


class Scatter:
    """Scores of pairs against the size of the distorted file, in bits a pixel.

    Attributes:
        limit: the largest size that was seen.
    """

    def __init__(self, column: Column) -> None:
        self._column = column
        self._bits, self._scores = array("d"), array("d")
        self.limit = 0.0

    def add(self, rows: Sequence[Row]) -> None:
        """Take those rows that have an original and a score."""
        name = self._column.metric.name
        for row in rows:
            if row["reference"] is not None and row.get(name) is not None:
                self._bits.append(8 * row["bytes"] / (row["width"] * row["height"]))
                self._scores.append(row[name])
                self.limit = max(self.limit, self._bits[-1])

    def points(self) -> list[Mark]:
        """At most `POINTS` of them, evenly picked."""
        step = -(-len(self._scores) // POINTS) or 1
        if not self._scores:
            return []
        low, high = min(self._scores), max(self._scores)
        return [
            Mark(
                WIDTH * bits / self.limit,
                HEIGHT * (1 - (score - low) / (high - low or 1)),
                label=f"{score:.{self._column.metric.digits}f} at {bits:.2f} bits a pixel",
            )
            for bits, score in zip(self._bits[::step], self._scores[::step], strict=True)
        ]


def histogram(column: Column) -> list[Mark]:
    """Bars from the lowest score to the highest."""
    if not column.values:
        return []
    counts, edges = np.histogram(column.values, BINS)
    digits = column.metric.digits
    return [
        Mark(
            WIDTH * index / BINS,
            HEIGHT * (1 - count / counts.max()),
            WIDTH / BINS - 1,
            HEIGHT * count / counts.max(),
            f"{low:.{digits}f} to {high:.{digits}f}: {count}",
        )
        for index, (count, (low, high)) in enumerate(zip(counts, pairwise(edges), strict=True))
    ]


def _picture(row: Row, column: Column) -> Picture:
    score = f"{row[column.metric.name]:.{column.metric.digits}f}"
    return Picture(score, row["path"], _thumbnail(row["path"]))


def _thumbnail(path: str) -> str:
    (content,) = read_files([path])
    if isinstance(content, Problem):
        return ""
    try:
        pixels = read(content)
    except DecodingError:
        return ""
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = BytesIO()
    image.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
