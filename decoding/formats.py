"""Which formats are read, and the names of those that are not."""

from __future__ import annotations

import re

from PIL import Image

from decoding.errors import DecodingError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")
"""Pillow's names of the formats that are read; HEIC is HEIF."""

START = 16  # bytes that Pillow's readers look at

# Foreign formats that Pillow does not know, by the start of their files. JPEG XL is none of ours
# because its plugin for Pillow decodes all pixels to open a file, before their number is checked.
FOREIGN = (
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"II\xbc"), "JPEG XR"),
    (re.compile(rb"FUJIFILMCCD-RAW|....ftypcrx |II(RO|RS|U\0)", re.DOTALL), "camera raw"),
    (
        re.compile(rb"....ftyp(qt  |isom|iso\d|mp4\d|M4V |avc1|3gp)|\x1aE\xdf\xa3", re.DOTALL),
        "video",
    ),
    (re.compile(rb"%PDF-"), "PDF"),
    (
        re.compile(
            rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", re.DOTALL
        ),
        "SVG",
    ),
)


def starts_like(name: str, prefix: bytes) -> bool:
    """Whether a file of this start is of the format of this name, in Pillow's judgement."""
    accept = Image.OPEN[name][1]
    return accept is not None and accept(prefix.ljust(START, b"\0")) is True


def unsupported(what: str) -> DecodingError:
    """The error for a sound file that is not read: says what it is, and what would be read."""
    return DecodingError(
        "unsupported_format",
        f"{what} is not read: send an image in one of these formats: {', '.join(FORMATS)}.",
    )


def foreign(start: bytes) -> DecodingError:
    """The error for a file, of which the start is given, that is of none of the formats."""
    for pattern, name in FOREIGN:
        if pattern.match(start):
            return unsupported(name)
    for name in Image.OPEN:
        if name not in FORMATS and starts_like(name, start[:START]):
            return unsupported(name)
    return unsupported("A file of this kind")
