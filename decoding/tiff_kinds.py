"""Which TIFFs are read, by their first directory: what Pillow would take for another is not."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from decoding.errors import DecodingError
from decoding.formats import unsupported
from decoding.tiff import BIG, LONG, LONG8, SHORT, directory

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, TILE_OFFSETS, TILE_WIDTH, TILE_LENGTH = 273, 324, 322, 323
SAMPLES, PLANES, SAMPLE_FORMAT, DNG = 277, 284, 339, 50706

PIECES = 1 << 18  # most strips or tiles of a file; 50 megapixels in tiles of 16x16 are 195,000

WHITE_IS_ZERO = 0
PHOTOMETRICS = {8: "LAB", 9: "LAB", 10: "LAB", 32803: "camera raw", 34892: "camera raw"}
COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000)  # of Pillow's libtiff
FORMATS = {2: "signed", 3: "floating-point", 4: "untyped", 5: "complex", 6: "complex"}
REDUCED = 1  # of a larger picture in the same file
SEPARATE = 2  # planes, one for each channel


@dataclass(frozen=True)
class Kind:
    """A TIFF of which nothing says that it cannot be read.

    Attributes:
        description: of its samples.
        white_is_zero: samples count from white.
        has_size: it says how large it is.
    """

    description: str
    white_is_zero: bool
    has_size: bool


def check(data: memoryview, max_pixels: int) -> Kind:
    """Refuse what is not read, and a file whose pieces take far more memory than its pixels.

    A decoder holds a whole tile, whatever size it says to have, and Pillow an object for each
    strip before it tells the size of the image.

    Raises:
        DecodingError: `unsupported_format`, `too_many_pixels`, `invalid_image`.
    """
    if bytes(data[:4]) == b"MM\0" + bytes([BIG]):
        raise unsupported("A BigTIFF in big-endian byte order")
    try:
        values = _values(data)
    except (struct.error, OverflowError, ValueError):
        raise DecodingError("invalid_image", "The TIFF is damaged: send it again.") from None
    if values.get(TILE_WIDTH, 0) * values.get(TILE_LENGTH, 0) > max_pixels:
        raise DecodingError(
            "too_many_pixels", f"Send a TIFF with tiles of at most {max_pixels} pixels."
        )
    if values.get(SUBFILE, 0) & REDUCED or DNG in values or bytes(data[8:10]) == b"CR":
        raise unsupported("A TIFF that begins with a thumbnail, as camera raw files (DNG, NEF) do,")
    compression, bits = values.get(COMPRESSION, 1), values.get(BITS, 1)
    photometric = values.get(PHOTOMETRIC, WHITE_IS_ZERO)
    number = values.get(SAMPLES, 1)
    format_ = FORMATS.get(values.get(SAMPLE_FORMAT, 1), "")
    description = " ".join(filter(None, (f"{number} x {bits}-bit", format_, "samples")))
    if photometric in PHOTOMETRICS:
        raise unsupported(f"A TIFF of {PHOTOMETRICS[photometric]} data")
    if compression not in COMPRESSIONS:
        raise unsupported(f"A TIFF with compression {compression}")
    if format_ or bits not in (1, 2, 4, 8, 12, 16):
        raise unsupported(f"A TIFF of {description}")
    if bits == 16 and number > 1 and values.get(PLANES) == SEPARATE:
        raise unsupported("A TIFF of 16-bit samples in separate planes")
    return Kind(
        description,
        photometric == WHITE_IS_ZERO,
        has_size=min(values.get(WIDTH, 0), values.get(HEIGHT, 0)) > 0,
    )


def _values(data: memoryview) -> dict[int, int]:
    """The values of those tags that are looked at; of tiles whose size is said twice the larger.

    Raises:
        DecodingError: `invalid_image`, there are too many pieces.
        struct.error, OverflowError, ValueError: the directory is damaged.
    """
    values: dict[int, int] = {}
    for tag, type_, count, value in directory(data):
        if tag in (STRIP_OFFSETS, TILE_OFFSETS) and count > PIECES:
            raise DecodingError(
                "invalid_image", f"Send a TIFF of at most {PIECES} strips or tiles."
            )
        is_tile = tag in (TILE_WIDTH, TILE_LENGTH)
        if is_tile and (type_ not in (SHORT, LONG, LONG8) or count != 1):
            raise ValueError("the size of a tile is elsewhere")
        values[tag] = max(values.get(tag, 0), value) if is_tile else value
    return values
