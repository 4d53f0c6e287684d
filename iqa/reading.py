"""Opens an image file for the metrics, as the service does."""

from __future__ import annotations

from os import PathLike

from iqa.images import Image


def read(file: str | PathLike[str] | bytes) -> Image:
    """The pixels of an image file, uint8 `[H, W, C]`, C 1 (grey) or 3 (RGB), as people see it.

    The package `decoding` does it, which is made of what is here; it is imported by the call and
    not before, so that nothing else in `iqa` depends on files.

    Args:
        file: its path, or its content.

    Raises:
        decoding.DecodingError: it is no picture, damaged, of no format that is read, or too large.
        OSError: there is no such file.
    """
    from decoding import read as decode

    return decode(file)
