"""Items from a table, CSV or Parquet, of which only a piece is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import csv, parquet

from bulk.items import Item, Problem, UsageError
from bulk.listing import filesystem

SUFFIXES = (".csv", ".parquet")
PIECE = 10_000  # rows
NO_PATH = Problem("unreadable_file", "The manifest names no file here.")


def is_manifest(path: str) -> bool:
    """Whether it is a table by its suffix."""
    return path.lower().endswith(SUFFIXES)


def items(path: str, column: str, reference_column: str | None) -> Iterator[Item]:
    """The items of a manifest, in its order.

    Args:
        path: of the table, or its URL.
        column: with paths or URLs of pictures; relative ones are seen from the working directory.
        reference_column: with those of the originals; None where there are none.

    Raises:
        UsageError: there is no such table or column.
    """
    columns = [column] if reference_column is None else [column, reference_column]
    for batch in _batches(path, columns):
        values = [batch.column(name).to_pylist() for name in columns]
        for row in zip(*values, strict=True):
            missing = NO_PATH if None in row else None
            yield Item(row[0] or "", row[1] if reference_column else None, missing)


def _batches(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    files, name = filesystem(path)
    try:
        with files.open(name, "rb") as file:
            if name.lower().endswith(".csv"):
                strings = dict.fromkeys(columns, pa.string())
                options = csv.ConvertOptions(column_types=strings, strings_can_be_null=True)
                table = csv.open_csv(file, convert_options=options)
                _check_columns(path, columns, table.schema)
                yield from table
            else:
                table = parquet.ParquetFile(file)
                _check_columns(path, columns, table.schema_arrow)
                yield from table.iter_batches(PIECE, columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _check_columns(path: str, columns: list[str], schema: pa.Schema) -> None:
    absent = [column for column in columns if column not in schema.names]
    if absent:
        known = ", ".join(schema.names)
        raise UsageError(f"{path} has no column {absent[0]!r}, but {known}.")
