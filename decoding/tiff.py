"""Reads the first directory of a TIFF structure: of a TIFF file, or of the Exif data in others."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from decoding.errors import DecodingError

ORIENTATION, UPRIGHT = 0x0112, 1
STRIP_OFFSETS, TILE_OFFSETS, TILE_WIDTH, TILE_LENGTH = 273, 324, 322, 323
PIECES = 1 << 18  # most strips or tiles of a file; 50 megapixels in tiles of 16x16 are 195,000

SHORT, LONG, LONG8 = 3, 4, 16  # types of 16, 32 and 64 bits
BIG = 43  # the version number of files with 64-bit offsets


def directory(tiff: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, number of values, value (of several: offset) of each entry of the first directory.

    TIFF 6.0, section 2; BigTIFF.

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
        position += number.size
        yield tag, type_, values, value


def exif_orientation(tiff: memoryview) -> int:
    """Orientation, 1 to 8, by Exif data; 1 (upright) where they say nothing (Exif 2.32, 4.6)."""
    try:
        for tag, type_, _, value in directory(tiff):
            if tag == ORIENTATION:
                return value if type_ == SHORT and 1 <= value <= 8 else UPRIGHT
    except (struct.error, OverflowError, ValueError):
        pass
    return UPRIGHT


def check_layout(tiff: memoryview, max_pixels: int) -> None:
    """Refuse a file whose pieces take far more memory than its pixels.

    A decoder holds a whole tile, whatever size it says to have, and Pillow an object for each
    strip before it tells the size of the image.

    Raises:
        DecodingError: `too_many_pixels`, `invalid_image`.
    """
    tile = {TILE_WIDTH: 0, TILE_LENGTH: 0}
    try:
        for tag, type_, count, value in directory(tiff):
            if tag in (STRIP_OFFSETS, TILE_OFFSETS) and count > PIECES:
                raise DecodingError(
                    "invalid_image", f"Send a TIFF of at most {PIECES} strips or tiles."
                )
            if tag in tile:
                if type_ not in (SHORT, LONG, LONG8) or count != 1:
                    raise ValueError("the size of a tile is elsewhere")
                tile[tag] = max(tile[tag], value)
    except (struct.error, OverflowError, ValueError):
        raise DecodingError("invalid_image", "The TIFF is damaged: send it again.") from None
    if tile[TILE_WIDTH] * tile[TILE_LENGTH] > max_pixels:
        raise DecodingError(
            "too_many_pixels", f"Send a TIFF with tiles of at most {max_pixels} pixels."
        )
