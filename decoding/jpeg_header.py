"""Reads what a JPEG says of itself before its pixels (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from decoding.errors import DecodingError
from decoding.formats import unsupported
from decoding.orientation import UPRIGHT
from decoding.tiff import exif_orientation

SEGMENTS = 1000  # most; cameras write a dozen, a large colour profile takes as many again
SCANS = 100  # most; encoders write ten

# What libjpeg takes for the next marker: others it skips, as it does a byte of data that is 0xFF.
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
END, START_OF_SCAN, APP1, APP2 = 0xD9, 0xDA, 0xE1, 0xE2
SINGLE_SCAN_FRAMES = (0xC0, 0xC1, 0xC9)  # baseline, extended sequential, arithmetic
FRAMES = (*SINGLE_SCAN_FRAMES, 0xC2, 0xCA)  # and progressive
OTHER_FRAMES = {
    **dict.fromkeys((0xC3, 0xCB), "A lossless JPEG"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "A hierarchical JPEG"),
    0xF7: "JPEG-LS",
}
EXIF, ICC = b"Exif\0\0", b"ICC_PROFILE\0"


class Header(NamedTuple):
    """What a JPEG says of itself.

    Attributes:
        height, width: in pixels, as it is stored.
        components: 1 (grey), 3 (colours) or 4 (CMYK).
        orientation: 1 to 8, by its Exif data; 1 (upright) where they say nothing.
        is_progressive: it comes in several scans.
        profile: its ICC profile; None where there is none, or not all of it.
    """

    height: int
    width: int
    components: int
    orientation: int
    is_progressive: bool
    profile: bytes | None


def read_header(data: memoryview) -> Header:
    """Walk the marker segments, as far as there may be a further scan.

    Each scan costs a pass over all pixels, however few bytes it has, and each segment a turn here:
    a file with more of them than any encoder writes is refused.

    Raises:
        DecodingError: `invalid_image`, there are too many; `unsupported_format`, it is of a kind
            that libjpeg-turbo does not read.
        ValueError: it has no picture.
    """
    frame = orientation = None
    single_scan = False
    scans, position = 0, 2
    profile: list[bytes] = []
    for _ in range(SEGMENTS):
        match = MARKER.search(data, position)
        if match is None or match[1][0] == END:
            break
        marker, start = match[1][0], match.end()
        content = data[start + 2 : start + int.from_bytes(data[start : start + 2], "big")]
        if marker == START_OF_SCAN:
            scans += 1
            if scans > SCANS:
                raise DecodingError("invalid_image", f"Send a JPEG of at most {SCANS} scans.")
            if single_scan and frame and content[0] == frame[3]:
                break
        elif marker in FRAMES and frame is None:
            frame = struct.unpack_from(">BHHB", content)
            single_scan = marker in SINGLE_SCAN_FRAMES
            if frame[0] != 8:
                raise unsupported(f"A JPEG of {frame[0]} bits a sample")
        elif marker in OTHER_FRAMES:
            raise unsupported(OTHER_FRAMES[marker])
        elif marker == APP1 and orientation is None and content[: len(EXIF)] == EXIF:
            orientation = exif_orientation(content[len(EXIF) :])
        elif marker == APP2 and content[: len(ICC)] == ICC:
            profile.append(bytes(content[len(ICC) :]))
        position = start + 2 + len(content)
    else:
        raise DecodingError("invalid_image", f"Send a JPEG of at most {SEGMENTS} segments.")
    if frame is None:
        raise ValueError("a JPEG without a picture")
    _, height, width, components = frame
    return Header(
        height,
        width,
        components,
        orientation or UPRIGHT,
        scans > 1,
        _joined(profile) if profile else None,
    )


def _joined(parts: list[bytes]) -> bytes | None:
    """The profile whose parts begin with their number, from 1, and how many there are."""
    parts.sort(key=lambda part: part[:1])
    if [tuple(part[:2]) for part in parts] != [(n, len(parts)) for n in range(1, len(parts) + 1)]:
        return None
    return b"".join(part[2:] for part in parts) or None
