"""The items that the arguments of a command name, one after the other as they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from bulk.items import Item, UsageError
from bulk.listing import is_folder, is_pattern, is_picture, is_remote, join, matches, walk
from bulk.manifest import is_manifest
from bulk.manifest import items as manifest_items
from bulk.pairs import pairs

Source = Callable[[], Iterator[Item]]
"""Lists the items from the beginning, as often as it is called."""


def pictures(paths: Sequence[str], column: str, reference_column: str | None) -> Source:
    """The items of files, folders, patterns and manifests.

    Raises:
        UsageError: there is nothing of that name, or no picture in it.
    """
    return lambda: chain.from_iterable(
        _some(_named(path, column, reference_column), path) for path in paths
    )


def folder_pairs(reference: str, distorted: str) -> Source:
    """The items of two folders, or of two files.

    Raises:
        UsageError: one of the two is a folder and the other is not, or there is no picture.
    """
    are_folders = [is_folder(path) for path in (reference, distorted)]
    if not any(are_folders):
        return lambda: iter([Item(distorted, reference)])
    if not all(are_folders):
        raise UsageError(f"{reference} and {distorted} must be two folders or two files.")
    return lambda: _some(pairs(reference, distorted), f"{reference} and {distorted}")


def _named(path: str, column: str, reference_column: str | None) -> Iterator[Item]:
    if is_pattern(path):
        return map(Item, matches(path))
    if is_manifest(path):
        return manifest_items(path, column, reference_column)
    if is_folder(path):
        return (Item(join(path, name)) for name in walk(path) if is_picture(name))
    if is_remote(path) and path.endswith("/"):
        raise UsageError(f"{path}: there is no such folder.")
    return iter([Item(path)])


def _some(items: Iterator[Item], name: str) -> Iterator[Item]:
    """The items, of which there must be one."""
    try:
        first = next(items, None)
        if first is None:
            raise UsageError(f"{name}: there is no picture.")
        yield first
        yield from items
    except OSError as error:
        raise UsageError(f"{name} cannot be listed: {error}") from error
