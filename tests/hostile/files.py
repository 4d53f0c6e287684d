"""Writes files byte by byte, as no encoder would: with any header around any content."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterable
from io import BytesIO

import jpeglib
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
SHORT, LONG, UNDEFINED = 3, 4, 7  # types of TIFF


def encoded(image: Image.Image | Pixels, kind: str, **options: object) -> bytes:
    """What Pillow and, of HEIC, libheif write."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image.squeeze())
    if kind == "AVIF":
        options = {"speed": 10} | options
    buffer = BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def zeros(count: int) -> bytes:
    """So many zero bytes, a power of two, deflated: of many, a block that repeats."""
    size = min(count, 1 << 24)
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = deflate.compress(bytes(size)) + deflate.flush(zlib.Z_FULL_FLUSH)
    end = deflate.flush()
    checksum = (count % 65521) << 16 | 1  # Adler's, of zeros
    return b"\x78\xda" + block * (count // size) + end + struct.pack(">I", checksum)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


def png(
    width: int,
    height: int,
    data: bytes,
    *extra: bytes,
    depth: int = 8,
    colour: int = 0,
    interlace: int = 0,
) -> bytes:
    """A PNG of that header around that deflated data, with extra chunks before it."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    chunks = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def interlaced_png(pixels: Pixels) -> bytes:
    """A grey PNG in the seven passes of Adam7."""
    rows = (
        b"\0" + row.tobytes()
        for top, left, down, right in ADAM7
        for row in pixels[top::down, left::right, 0]
    )
    height, width, _ = pixels.shape
    return png(width, height, zlib.compress(b"".join(rows)), interlace=1)


def png_16_bit(values: NDArray[np.uint16]) -> bytes:
    """A PNG of grey `[H, W, 1]` or RGB `[H, W, 3]` values of 16 bits."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, zlib.compress(rows), depth=16, colour=0 if channels == 1 else 2)


def tiff(
    width: int,
    height: int,
    data: bytes,
    *extra: tuple[int, int, int, int],
    compression: int = 1,
    rows_per_strip: int | None = None,
    strips: int = 1,
    tile: int | None = None,
) -> bytes:
    """A grey TIFF around `data`, one strip or tile, with `extra` entries of its directory.

    An entry is tag, type, number of values, value or offset; the data lie at offset 8.
    """
    entries = [(256, LONG, 1, width), (257, LONG, 1, height), (258, SHORT, 1, 8)]
    entries += [(259, SHORT, 1, compression), (262, SHORT, 1, 1), (277, SHORT, 1, 1)]
    if tile is None:
        entries += [(278, LONG, 1, rows_per_strip or height)]
        entries += [(273, LONG, strips, 8), (279, LONG, strips, len(data))]
    else:
        entries += [(322, LONG, 1, tile), (323, LONG, 1, tile)]
        entries += [(324, LONG, 1, 8), (325, LONG, 1, len(data))]
    stated = {tag for tag, *_ in extra}
    entries = [entry for entry in entries if entry[0] not in stated] + list(extra)
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    header = b"II*\0" + struct.pack("<I", 8 + len(data))
    return header + data + struct.pack("<H", len(entries)) + directory + bytes(4)


def bmp(width: int, height: int, data: bytes) -> bytes:
    """An RGB BMP of that header around that data."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(data), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + header + data


def gif(width: int, height: int, *blocks: bytes) -> bytes:
    """A GIF of that screen, two greys and those blocks."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return b"GIF89a" + screen + b"\0\0\0\xff\xff\xff" + b"".join(blocks) + b";"


def gif_frame(width: int, height: int, data: bytes = b"\2\2\x44\1\0") -> bytes:
    """A frame of a GIF; without `data`, with that of a single pixel."""
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + data


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of those chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_canvas(width: int, height: int) -> tuple[bytes, bytes]:
    """The chunk that says how large the whole picture is."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes(4) + sides


def webp_flat(width: int, height: int) -> tuple[bytes, bytes]:
    """The chunk of a lossless picture of one colour, of up to 16384 pixels a side."""
    sides = (width - 1) | (height - 1) << 14
    return b"VP8L", b"\x2f" + struct.pack("<I", sides) + bytes.fromhex("071011fd0f4444ff03")


def arithmetic_jpeg(pixels: Pixels, *, progressive: bool = False) -> bytes:
    """An RGB JPEG with arithmetic coding instead of Huffman's."""
    with jpeglib.version("9e"), tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        flags = ["+ARITH_CODE", *(["+PROGRESSIVE_MODE"] if progressive else [])]
        jpeglib.from_spatial(pixels).write_spatial(file.name, qt=90, flags=flags)
        return file.read()


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content


def jpeg_segments(*segments: tuple[int, bytes], of: bytes) -> bytes:
    """The JPEG `of` with more segments (marker, content) before its others."""
    return of[:2] + b"".join(jpeg_segment(*segment) for segment in segments) + of[2:]


def exif(entries: Iterable[tuple[int, int, int, int]], tail: bytes = b"") -> bytes:
    """Exif data of those entries, as TIFF has them."""
    listed = list(entries)
    directory = b"".join(struct.pack("<HHII", *entry) for entry in listed)
    return b"II*\0" + struct.pack("<IH", 8, len(listed)) + directory + bytes(4) + tail
