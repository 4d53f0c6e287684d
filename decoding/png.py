"""Finds the Exif data of a PNG, wherever they are, without decoding the pixels on the way."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"
FRAME = 12  # bytes around the content of a chunk


def exif(data: memoryview) -> bytes:
    """Content of the chunk `eXIf` (PNG 3.0, 11.3.4.4), which may follow the pixels; else empty."""
    position = len(SIGNATURE)
    while position + FRAME <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"eXIf":
            return bytes(data[position + 8 : position + 8 + length])
        position += FRAME + length
    return b""
