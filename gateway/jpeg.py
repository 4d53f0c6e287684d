"""Reads what a JPEG says before its first scan that its decoder does not tell, or not in time."""

from __future__ import annotations

import struct

from gateway.problems import Problem
from gateway.tiff import UPRIGHT, exif_orientation

SEGMENTS = 1000  # most before the first scan; cameras write a dozen
SCANS = 500  # most of a file; encoders write ten

SINGLE_SCAN_FRAMES = (0xC0, 0xC1, 0xC9)  # baseline, extended sequential, arithmetic
START_OF_SCAN, APP0, APP1, COMMENT = 0xDA, 0xE0, 0xE1, 0xFE
SCAN = bytes([0xFF, START_OF_SCAN])
EXIF = b"Exif\0\0"


def orientation(data: memoryview) -> int:
    """EXIF orientation, 1 to 8, of a JPEG file; 1 (upright) where it says nothing.

    Walks the marker segments before the first scan (ITU-T T.81, annex B). Each scan of a picture
    that comes in several costs a pass over all of its pixels, however few bytes it has: a file with
    more of them than any encoder writes is refused.

    Raises:
        Problem: `invalid_image`, more segments or scans than any picture has.
    """
    found, in_one_scan = _walk(data)
    if not in_one_scan and bytes(data).count(SCAN) > SCANS:
        raise Problem("invalid_image", f"Send a JPEG of at most {SCANS} scans.")
    return found


def _walk(data: memoryview) -> tuple[int, bool]:
    """The orientation, and whether it is certain that all components come in one scan."""
    found, components, position = None, None, 2
    try:
        for _ in range(SEGMENTS):
            prefix, marker, length = struct.unpack_from(">BBH", data, position)
            content = position + 4
            # Of other markers some have no length: where the next is, only the decoder knows.
            if prefix != 0xFF or not (0xC0 <= marker < 0xD0 or 0xDA <= marker < 0xFF):
                return found or UPRIGHT, False
            if marker == START_OF_SCAN:
                return found or UPRIGHT, data[content] == components
            if marker in SINGLE_SCAN_FRAMES:
                components = data[content + 5]
            elif marker == APP1 and found is None and data[content:][: len(EXIF)] == EXIF:
                found = exif_orientation(data[content + len(EXIF) :])
            position += 2 + length
    except (struct.error, IndexError):  # the file ends here
        return found or UPRIGHT, False
    raise Problem("invalid_image", f"Send a JPEG of at most {SEGMENTS} segments before its pixels.")
