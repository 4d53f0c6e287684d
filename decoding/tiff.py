"""Reads the first directory of a TIFF structure: of a TIFF file, or of the Exif data in others."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from decoding.orientation import TAG, TURNS, UPRIGHT

SHORT, LONG, LONG8 = 3, 4, 16  # types of 16, 32 and 64 bits
BIG = 43  # the version number of files with 64-bit offsets


def directory(tiff: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, number of values and value of each entry of the first directory.

    Of several values it is the first if they are of 16 bits, else where they are. TIFF 6.0,
    section 2; BigTIFF.

    Raises:
        struct.error, OverflowError: it ends early.
        ValueError: there is none, or one that Pillow and libtiff do not read alike.
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None or tiff[3:4] == bytes([BIG]):
        raise ValueError("not a TIFF structure")
    is_big = tiff[2:3] == bytes([BIG])
    number = struct.Struct(order + ("Q" if is_big else "I"))
    short = struct.Struct(order + "H")
    entry = struct.Struct(order + ("HHQ" if is_big else "HHI"))
    (position,) = number.unpack_from(tiff, number.size)
    (count,) = (number if is_big else short).unpack_from(tiff, position)
    position += number.size if is_big else short.size
    for _ in range(count):
        tag, type_, values = entry.unpack_from(tiff, position)
        position += entry.size
        (value,) = (short if type_ == SHORT else number).unpack_from(tiff, position)
        if type_ == SHORT and values * short.size > number.size:
            (at,) = number.unpack_from(tiff, position)
            (value,) = short.unpack_from(tiff, at) if at + short.size <= len(tiff) else (0,)
        position += number.size
        yield tag, type_, values, value


def exif_orientation(tiff: memoryview) -> int:
    """Orientation, 1 to 8, by Exif data; 1 (upright) where they say nothing (Exif 2.32, 4.6)."""
    try:
        for tag, type_, _, value in directory(tiff):
            if tag == TAG:
                return value if type_ in (SHORT, LONG) and value in TURNS else UPRIGHT
    except (struct.error, OverflowError, ValueError):
        pass
    return UPRIGHT
