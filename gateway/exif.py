"""Reads how a JPEG is to be turned, without reading anything else of it."""

from __future__ import annotations

import struct

ORIENTATION = 0x0112
UPRIGHT = 1

APP1, START_OF_SCAN = 0xE1, 0xDA
EXIF = b"Exif\0\0"
SHORT = 3  # the TIFF type of the tag


def jpeg_orientation(data: memoryview) -> int:
    """EXIF orientation, 1 to 8, of a JPEG file; 1 (upright) where it says nothing (Exif 2.32, 4.6).

    Walks the marker segments before the first scan (ITU-T T.81, annex B).
    """
    position = 2
    try:
        while True:
            prefix, marker, length = struct.unpack_from(">BBH", data, position)
            if prefix != 0xFF or marker == START_OF_SCAN:
                return UPRIGHT
            content = position + 4
            tiff = content + len(EXIF)
            if marker == APP1 and data[content:tiff] == EXIF:
                return _tiff_orientation(data[tiff:])
            position += 2 + length
    except struct.error:  # the file ends here
        return UPRIGHT


def _tiff_orientation(tiff: memoryview) -> int:
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for entry in range(entries):
        position = directory + 2 + 12 * entry
        tag, type_, _, value = struct.unpack_from(order + "HHIH", tiff, position)
        if tag == ORIENTATION:
            return int(value) if type_ == SHORT and 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
