"""Writes rows: Parquet in parts, or one file of Parquet, CSV or JSON lines, or standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO

import pyarrow as pa
from pyarrow import csv, parquet

from bulk.files import open_whole
from bulk.items import UsageError
from bulk.parts import PART
from bulk.rows import Row

STANDARD_OUTPUT = "-"
BUFFERED = 1000  # rows that a table of a single file gets at a time

Write = Callable[[Sequence[Row]], None]
"""Takes the next rows."""


def is_folder_of_parts(name: str) -> bool:
    """Whether an output is a folder: by the slash at its end, or as its name has no suffix."""
    return name.endswith("/") or (name != STANDARD_OUTPUT and not os.path.splitext(name)[1])


@contextmanager
def parts(folder: str, schema: pa.Schema, size: int, first: int) -> Iterator[Write]:
    """A folder of Parquet files that hold the rows in their order.

    Args:
        folder: path or URL.
        schema: see `bulk.rows.schema`.
        size: rows of a part, which is on disk when the last of them was taken.
        first: number of the first part.
    """
    waiting: list[Row] = []
    number = first

    def write_part(rows: list[Row]) -> None:
        nonlocal number
        with open_whole(f"{folder.rstrip('/')}/{PART.format(number)}") as file:
            parquet.write_table(pa.Table.from_pylist(rows, schema), file)
        number += 1

    def write(rows: Sequence[Row]) -> None:
        waiting.extend(rows)
        while len(waiting) >= size:
            write_part(waiting[:size])
            del waiting[:size]

    yield write
    if waiting:
        write_part(waiting)


def single_file(name: str, schema: pa.Schema) -> AbstractContextManager[Write]:
    """One file, which appears under its name when all rows are there; `-` shows them at once.

    Raises:
        UsageError: its suffix is not known.
    """
    if name == STANDARD_OUTPUT:
        return _json_lines(None, schema)
    if name.endswith((".jsonl", ".ndjson")):
        return _json_lines(name, schema)
    if name.endswith((".parquet", ".csv")):
        return _table(name, schema)
    raise UsageError(f"{name}: name a folder (with / at its end) or a .parquet, .csv or .jsonl.")


@contextmanager
def _table(name: str, schema: pa.Schema) -> Iterator[Write]:
    waiting: list[Row] = []
    writer = parquet.ParquetWriter if name.endswith(".parquet") else csv.CSVWriter

    with open_whole(name) as file, writer(file, schema) as table:

        def flush() -> None:
            table.write_table(pa.Table.from_pylist(waiting, schema))
            waiting.clear()

        def write(rows: Sequence[Row]) -> None:
            waiting.extend(rows)
            if len(waiting) >= BUFFERED:
                flush()

        yield write
        flush()


@contextmanager
def _json_lines(name: str | None, schema: pa.Schema) -> Iterator[Write]:
    with open_whole(name) if name else _standard_output() as file:

        def write(rows: Sequence[Row]) -> None:
            for row in rows:
                whole = {column: row.get(column) for column in schema.names}
                file.write(json.dumps(whole).encode() + b"\n")
            file.flush()

        yield write


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    yield sys.stdout.buffer
