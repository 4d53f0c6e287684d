"""Reads the files of items, several at a time where they are far away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bulk.items import Item, Problem, UsageError
from bulk.listing import filesystem, is_remote
from bulk.scoring import File


def read_items(items: Sequence[Item]) -> list[tuple[File, ...]]:
    """The contents of each item's files, or why they were not read."""
    contents = read_files([path for item in items for path in item.files])
    rest = iter(contents)
    return [tuple(next(rest) for _ in item.files) for item in items]


def read_files(paths: Sequence[str]) -> list[File]:
    """The contents of files; neighbours in the same store are asked for at once."""
    contents: list[File] = []
    for are_remote, group in groupby(paths, is_remote):
        some = list(group)
        contents += _fetched(some) if are_remote else map(_read, some)
    return contents


def _read(path: str) -> File:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        return _problem(error)


def _fetched(urls: list[str]) -> Iterator[File]:
    try:
        located = [filesystem(url) for url in urls]
    except UsageError as error:
        yield from [_problem(error)] * len(urls)
        return
    for files, group in groupby(located, lambda place: place[0]):
        names = [name for _, name in group]
        try:
            # It takes names as they are; `cat` would expand those that look like patterns.
            contents = files.cat_ranges(names, None, None, on_error="return")
        except Exception as error:  # each store has its own
            contents = [error] * len(names)
        yield from (each if isinstance(each, bytes) else _problem(each) for each in contents)


def _problem(error: Exception) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem("unreadable_file", "There is no such file.")
    return Problem("unreadable_file", f"The file cannot be read: {error}")
