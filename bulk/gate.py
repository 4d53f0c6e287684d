"""Limits that scores must keep, so that a build can fail by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bulk.items import UsageError
from bulk.rows import Row
from iqa.metric import Metric


class Limit(NamedTuple):
    """A score that is not to be passed.

    Attributes:
        metric: name of the metric.
        value: the limit itself is allowed.
        is_lowest: scores below it break it, else those above.
    """

    metric: str
    value: float
    is_lowest: bool

    def __str__(self) -> str:
        return f"{self.metric} {'below' if self.is_lowest else 'above'} {self.value:g}"

    def is_broken_by(self, row: Row) -> bool:
        """Whether a row breaks it; one without a score does, as nobody knows that it is good."""
        score = row.get(self.metric)
        if score is None:
            return True
        return bool(score < self.value if self.is_lowest else score > self.value)


def parse(text: str, metrics: Sequence[Metric], *, is_lowest: bool) -> Limit:
    """The limit that `metric=number` says.

    Raises:
        UsageError: it is none, or of a metric that is not computed.
    """
    name, _, number = text.partition("=")
    if name not in [metric.name for metric in metrics]:
        raise UsageError(f"{text}: {name} is not among --metric.")
    try:
        return Limit(name, float(number), is_lowest)
    except ValueError:
        raise UsageError(f"{text}: write it as {name}=NUMBER.") from None


class Gate:
    """Counts the rows that break limits.

    Attributes:
        broken: how many rows break each limit.
    """

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.broken = dict.fromkeys(limits, 0)

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows."""
        for limit in self.broken:
            self.broken[limit] += sum(map(limit.is_broken_by, rows))

    @property
    def is_broken(self) -> bool:
        """Whether any row breaks any limit."""
        return any(self.broken.values())
