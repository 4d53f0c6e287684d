"""Pairs of the files of two folders, by their path inside the folder without its suffix."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator

from bulk.items import Item, Problem
from bulk.listing import entries, is_picture, join


def pairs(references: str, distorted: str) -> Iterator[Item]:
    """Each distorted picture with its original, folder by folder and sorted.

    `a/b.jpg` and `a/b.webp` belong together. What has no partner, or several originals to choose
    from, becomes an item with a problem; an original without a copy is one whose path is where
    the copy would be.

    Args:
        references, distorted: the folders, or their URLs; one that does not exist is empty.
    """
    originals, folders_of_originals = _contents(references)
    copies, folders_of_copies = _contents(distorted)
    for stem in sorted(originals.keys() | copies.keys()):
        yield from _matched(
            [join(references, name) for name in originals.get(stem, ())],
            [join(distorted, name) for name in copies.get(stem, ())],
            join(distorted, stem),
        )
    for name in sorted(folders_of_originals | folders_of_copies):
        yield from pairs(join(references, name), join(distorted, name))


def _contents(folder: str) -> tuple[dict[str, list[str]], set[str]]:
    """Names of the pictures by their stem, and of the folders."""
    pictures, folders = defaultdict(list), set()
    try:
        for name, is_folder in entries(folder):
            if is_folder:
                folders.add(name)
            elif is_picture(name):
                pictures[os.path.splitext(name)[0]].append(name)
    except FileNotFoundError:
        pass
    return pictures, folders


def _matched(originals: list[str], copies: list[str], expected: str) -> Iterator[Item]:
    """The items of one stem."""
    if not copies:
        missing = Problem("no_partner", "There is no distorted picture of this original.")
        yield from (Item(expected, original, missing) for original in originals)
    for copy in copies:
        if not originals:
            yield Item(copy, None, Problem("no_partner", "There is no original of this picture."))
        elif len(originals) > 1:
            found = " and ".join(os.path.basename(original) for original in originals)
            yield Item(copy, None, Problem("several_originals", f"Which is its original: {found}?"))
        else:
            yield Item(copy, originals[0])
