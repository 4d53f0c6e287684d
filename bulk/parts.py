"""What a folder of parts already holds, so that a later run goes on where an earlier one ended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyarrow import dataset

from bulk.items import Item, UsageError
from bulk.listing import entries, filesystem
from bulk.rows import Row

PART = "part-{:06d}.parquet"
NUMBER = re.compile(r"part-(\d+)\.parquet")


def numbers(folder: str) -> list[int]:
    """Of the parts in a folder; none where it does not exist."""
    try:
        found = [NUMBER.fullmatch(entry.name) for entry in entries(folder.rstrip("/"))]
    except FileNotFoundError:
        return []
    return [int(match[1]) for match in found if match]


def rows(folder: str, schema: pa.Schema) -> Iterator[list[Row]]:
    """The rows in a folder's Parquet files, some at a time.

    Raises:
        UsageError: they have other columns.
    """
    files, name = filesystem(folder)
    table = dataset.dataset(name, filesystem=files, format="parquet")
    if table.schema.names != schema.names:
        held, wanted = ", ".join(table.schema.names), ", ".join(schema.names)
        raise UsageError(f"{folder} has the columns {held}, not {wanted}: name another folder.")
    for batch in table.to_batches(batch_size=10_000, batch_readahead=1, fragment_readahead=1):
        yield batch.to_pylist()


class Held:
    """Which items have a row already: 100 bytes for each."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, rows: Iterable[Row]) -> None:
        """Take note of rows."""
        self._counts.update(hash((row["path"], row["reference"])) for row in rows)

    def without(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items that have none; of one that is named several times, so many as are missing."""
        for item in items:
            key = hash((item.path, item.reference))
            if self._counts.get(key, 0):
                self._counts[key] -= 1
            else:
                yield item
