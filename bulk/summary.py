"""What came out, in a few lines: counts, errors, quantiles, the worst."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nsmallest

import numpy as np

from bulk.rows import Row
from iqa.metric import Metric

QUANTILES = (0, 5, 25, 50, 75, 95, 100)
SHOWN = 10


class Column:
    """The scores of one metric.

    Attributes:
        metric: which.
        values: float64, of all rows that have one; 8 bytes each.
        worst, best: `SHOWN` rows, the worst and the best first.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.values = array("d")
        self.worst: list[Row] = []
        self.best: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Take the scores of rows."""
        name = self.metric.name
        scored = [row for row in rows if row.get(name) is not None]
        self.values.extend(row[name] for row in scored)
        rank = self.metric.rank
        self.worst = nsmallest(SHOWN, [*self.worst, *scored], lambda row: rank(row[name]))
        self.best = nsmallest(SHOWN, [*self.best, *scored], lambda row: -rank(row[name]))

    def quantiles(self) -> list[float]:
        """The scores at `QUANTILES` percent; none without scores."""
        return np.percentile(self.values, QUANTILES).tolist() if self.values else []


class Summary:
    """Of rows that are added as they come.

    Attributes:
        count: of rows.
        errors: how many rows have each error code.
        columns: of each metric.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.count = 0
        self.errors: Counter[str] = Counter()
        self.columns = [Column(metric) for metric in metrics]

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows."""
        self.count += len(rows)
        self.errors.update(row["error_code"] for row in rows if row.get("error_code"))
        for column in self.columns:
            column.add(rows)

    def lines(self) -> Iterable[str]:
        """What to print."""
        failed = sum(self.errors.values())
        yield f"{self.count} rows, {self.count - failed} without an error"
        for code, count in self.errors.most_common():
            yield f"  {code}: {count}"
        for column in self.columns:
            metric = column.metric
            yield f"{metric.title} ({metric.direction}), {len(column.values)} scores"
            if column.values:
                pairs = zip(QUANTILES, column.quantiles(), strict=True)
                yield "  " + "  ".join(f"{at}%: {value:.{metric.digits}f}" for at, value in pairs)
                yield "  the worst:"
            for row in column.worst:
                yield f"    {row[metric.name]:.{metric.digits}f}  {row['path']}"
