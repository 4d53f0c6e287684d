"""Lists folders, here or behind any URL that fsspec knows, a piece at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from fsspec import AbstractFileSystem
from fsspec.asyn import sync
from fsspec.core import url_to_fs
from fsspec.utils import glob_translate
from PIL import Image

from bulk.items import UsageError
from decoding import FORMATS

SUFFIXES = frozenset(
    suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS
)
MAGIC = re.compile(r"[*?\[]")
PIECE = 10_000  # names of a folder that are sorted at a time


class Entry(NamedTuple):
    """What a folder contains.

    Attributes:
        name: without the folder.
        is_folder: it is one, too.
    """

    name: str
    is_folder: bool


def is_remote(path: str) -> bool:
    """Whether it is a URL."""
    return "://" in path


def filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """What reads a path or URL, and how it calls it.

    Raises:
        UsageError: fsspec does not know this kind of URL, or lacks the package for it.
    """
    try:
        return url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error


def join(folder: str, name: str) -> str:
    """The path of what is in a folder."""
    return f"{folder.rstrip('/')}/{name}" if folder.rstrip("/") else f"{folder}{name}"


def entries(folder: str) -> Iterator[Entry]:
    """What is in a folder, sorted.

    One that is local or on S3 comes in sorted pieces of 10,000 names.

    Names that begin with a dot, and local links to folders, are left out.

    Raises:
        OSError: it cannot be read.
    """
    if is_remote(folder):
        files, root = filesystem(folder)
        root = root.rstrip("/")
        for listed in _pieces(files, root):
            names = ((entry["name"].rstrip("/"), entry["type"]) for entry in listed)
            piece = sorted(
                Entry(name.rpartition("/")[2], kind == "directory")
                for name, kind in names
                if name != root  # a bucket's empty object that stands for the folder
            )
            yield from (entry for entry in piece if not entry.name.startswith("."))
        return
    with os.scandir(folder or ".") as scan:
        while piece := sorted(
            Entry(entry.name, entry.is_dir(follow_symlinks=False))
            for entry in islice(scan, PIECE)
            if not (entry.is_symlink() and entry.is_dir())
        ):
            yield from (entry for entry in piece if not entry.name.startswith("."))


def _pieces(files: AbstractFileSystem, root: str) -> Iterator[list[dict[str, Any]]]:
    """What a store lists in a folder: of S3 as its pages come, of others at once.

    fsspec has no call for pages; `_iterdir` is what s3fs itself lists by.
    """
    if not root or not hasattr(files, "_iterdir"):
        yield files.ls(root, detail=True)
        return
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    bucket, key, _ = files.split_path(root)
    listing = files._iterdir(bucket, prefix=f"{key}/" if key else "")

    async def next_piece() -> list[dict[str, Any]]:
        piece = []
        async for entry in listing:
            piece.append(entry)
            if len(piece) == PIECE:
                break
        return piece

    is_empty = True
    try:
        while piece := sync(files.loop, next_piece):
            is_empty = False
            yield piece
    except ClientError as error:
        raise translate_boto_error(error) from error
    if is_empty:
        yield files.ls(root, detail=True)  # which knows whether it is there


def walk(folder: str, depth: int | None = None) -> Iterator[str]:
    """Files in a folder and, down to `depth` levels, in those inside it; as paths from there.

    Files of a folder come first, then what is in its folders.

    Raises:
        OSError: a folder cannot be read.
    """
    folders = []
    for name, is_folder in entries(folder):
        if is_folder:
            folders.append(name)
        else:
            yield name
    if depth != 1:
        for name in folders:
            below = walk(join(folder, name), None if depth is None else depth - 1)
            yield from (f"{name}/{path}" for path in below)


def is_picture(name: str) -> bool:
    """Whether its suffix is one of a format that is read."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def matches(pattern: str) -> Iterator[str]:
    """Files whose path matches a pattern of `*`, `?`, `[...]` and `**`, in the order of `walk`."""
    start = MAGIC.search(pattern)
    cut = pattern.rfind("/", 0, start.start() if start else None) + 1
    folder, rest = pattern[:cut], pattern[cut:]
    regex = re.compile(glob_translate(rest))
    depth = None if "**" in rest else rest.count("/") + 1
    for path in walk(folder, depth):
        if regex.match(path):
            yield folder + path


def is_pattern(path: str) -> bool:
    """Whether it stands for the files that match it; one that exists under this name does not."""
    return bool(MAGIC.search(path)) and (is_remote(path) or not os.path.exists(path))


def is_folder(path: str) -> bool:
    """Whether it is a folder that exists."""
    if not is_remote(path):
        return os.path.isdir(path)
    files, root = filesystem(path)
    return files.isdir(root)
