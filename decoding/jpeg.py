"""Reads what a JPEG's decoder does not tell: how the picture is turned, and in how many scans."""

from __future__ import annotations

import re
from dataclasses import dataclass

from decoding.errors import DecodingError
from decoding.tiff import UPRIGHT, exif_orientation

SEGMENTS = 1000  # most; cameras write a dozen, a large colour profile takes as many again
SCANS = 100  # most; encoders write ten

# What libjpeg takes for the next marker: others it skips, as it does a byte of data that is 0xFF.
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
END, START_OF_SCAN, APP1 = 0xD9, 0xDA, 0xE1
SINGLE_SCAN_FRAMES = (0xC0, 0xC1, 0xC9)  # baseline, extended sequential, arithmetic
EXIF = b"Exif\0\0"


@dataclass(frozen=True)
class Header:
    """What a JPEG says of itself.

    Attributes:
        orientation: 1 to 8, by its Exif data; 1 (upright) where they say nothing.
        is_progressive: it comes in several scans.
    """

    orientation: int
    is_progressive: bool


def read_header(data: memoryview) -> Header:
    """Walk the marker segments (ITU-T T.81, annex B), as far as there may be a further scan.

    Each scan costs a pass over all pixels, however few bytes it has, and each segment a turn here:
    a file with more of them than any encoder writes is refused.

    Raises:
        DecodingError: `invalid_image`, there are too many.
    """
    orientation, components, scans, position = None, None, 0, 2
    for _ in range(SEGMENTS):
        match = MARKER.search(data, position)
        if match is None or match[1][0] == END:
            return Header(orientation or UPRIGHT, scans > 1)
        marker, start = match[1][0], match.end()
        content = data[start + 2 : start + int.from_bytes(data[start : start + 2], "big")]
        if marker == START_OF_SCAN:
            scans += 1
            if scans > SCANS:
                raise DecodingError("invalid_image", f"Send a JPEG of at most {SCANS} scans.")
            if content[:1] == components:
                return Header(orientation or UPRIGHT, is_progressive=False)
        elif marker in SINGLE_SCAN_FRAMES:
            components = content[5:6]
        elif marker == APP1 and orientation is None and content[: len(EXIF)] == EXIF:
            orientation = exif_orientation(content[len(EXIF) :])
        position = start + 2 + len(content)
    raise DecodingError("invalid_image", f"Send a JPEG of at most {SEGMENTS} segments.")
