"""Rare kinds of a format give the right pixels, or an error that says what they are."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from decoding import DecodingError, read
from tests.hostile import files
from tests.hostile.corpus import photograph
from tests.hostile.files import LONG, SHORT, encoded

RANDOM = np.random.default_rng(4)
DEEP = RANDOM.integers(0, 65536, (24, 30, 3)).astype(np.uint16)
EIGHT = np.round(DEEP / 257).astype(np.uint8)
ORIENTATION = 0x0112


def tiff(samples: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, samples, metadata=None, **options)
    return buffer.getvalue()


def refusal(file: bytes) -> DecodingError:
    with pytest.raises(DecodingError) as caught:
        read(file)
    return caught.value


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_samples_of_16_bits_are_rounded_in_every_tiff(order: str, compression: str | None) -> None:
    options = {"byteorder": order, "compression": compression}
    np.testing.assert_array_equal(read(tiff(DEEP[:, :, 0], **options)), EIGHT[:, :, :1])
    colours = tiff(DEEP, photometric="rgb", planarconfig="contig", **options)
    np.testing.assert_array_equal(read(colours), EIGHT)
    alpha = np.full_like(DEEP[:, :, :1], 0xFFFF)
    file = tiff(
        np.concatenate([DEEP, alpha], axis=2),
        photometric="rgb",
        planarconfig="contig",
        extrasamples=["unassalpha"],
        **options,
    )
    np.testing.assert_array_equal(read(file), EIGHT)


def test_associated_alpha_of_16_bits() -> None:
    alpha = RANDOM.integers(2000, 65536, (24, 30, 1)).astype(np.uint16)
    multiplied = np.round(DEEP * (alpha / 65535)).astype(np.uint16)
    file = tiff(
        np.concatenate([multiplied, alpha], axis=2),
        photometric="rgb",
        planarconfig="contig",
        extrasamples=["assocalpha"],
    )
    expected = multiplied / 257 + 255 * (1 - alpha / 65535)  # over white
    assert np.abs(read(file) - expected).max() <= 1.5  # colours and opacity are rounded


@pytest.mark.parametrize(
    "compression",
    ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "lzma", "zstd"],
)
def test_lossless_compressions_of_a_tiff(compression: str) -> None:
    file = encoded(EIGHT, "TIFF", compression=compression)
    np.testing.assert_array_equal(read(file), EIGHT)


def test_white_may_be_zero() -> None:
    for values, whole in ((DEEP[:, :, 0], 65535), (EIGHT[:, :, 0], 255)):
        file = tiff(whole - values, photometric="miniswhite")
        np.testing.assert_array_equal(read(file)[:, :, 0], EIGHT[:, :, 0])


def test_samples_of_12_bits() -> None:
    values = RANDOM.integers(0, 4096, (10, 16)).astype(np.uint16)
    bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(10, 16, 2), axis=2)
    data = np.packbits(bits[:, :, 4:].reshape(10, -1), axis=1).tobytes()
    file = files.tiff(16, 10, data, (258, SHORT, 1, 12))
    expected = np.round(values / 4095 * 255).astype(np.uint8)
    np.testing.assert_array_equal(read(file)[:, :, 0], expected)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (tiff(DEEP[:, :, 0].astype(np.float32)), "32-bit floating-point"),
        (tiff(DEEP.astype(np.float32), photometric="rgb"), "3 x 32-bit floating-point"),
        (tiff(DEEP[:, :, 0].astype(np.float16)), "16-bit floating-point"),
        (tiff(DEEP[:, :, 0].astype(np.int16)), "16-bit signed"),
        (tiff(EIGHT[:, :, 0].astype(np.int8)), "8-bit signed"),
        (tiff(DEEP[:, :, 0].astype(np.uint32)), "32-bit"),
        (tiff(DEEP, photometric="rgb", planarconfig="separate"), "separate planes"),
        (encoded(Image.fromarray(EIGHT).convert("LAB"), "TIFF"), "LAB"),
        (files.tiff(16, 16, bytes(400), (258, SHORT, 1, 10)), "10-bit"),
        (files.tiff(16, 16, bytes(500), (258, SHORT, 1, 14)), "14-bit"),
        (files.tiff(16, 16, bytes(256), compression=34712), "compression 34712"),
        (files.tiff(16, 16, bytes(256), compression=50001), "compression 50001"),  # WebP
        (files.tiff(16, 16, b"CR\2\0" + bytes(252)), "begins with a thumbnail"),
        (files.tiff(16, 16, bytes(256), (254, LONG, 1, 1)), "begins with a thumbnail"),
        (files.tiff(16, 16, bytes(256), (50706, 1, 4, 0x0401)), "begins with a thumbnail"),
        (files.tiff(16, 16, bytes(512), (262, SHORT, 1, 32803)), "camera raw"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tiff_of_a_kind_that_is_not_read_is_named(file: bytes, what: str) -> None:
    error = refusal(file)
    assert error.code == "unsupported_format"
    assert what in error.message
    assert "send an image in one of these formats: JPEG, PNG" in error.message


def reframed(marker: int, precision: int = 8) -> bytes:
    """A JPEG that says to be of another kind."""
    file = bytearray(encoded(photograph(), "JPEG"))
    at = file.index(b"\xff\xc0")
    file[at + 1], file[at + 4] = marker, precision
    return bytes(file)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (reframed(0xC1, 12), "JPEG of 12 bits"),
        (reframed(0xF7), "JPEG-LS"),
        (reframed(0xC3), "lossless JPEG"),
        (reframed(0xC5), "hierarchical JPEG"),
        (b"\xff\x0a" + bytes(100), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "JPEG XL"),
        (encoded(photograph(), "JPEG2000"), "JPEG2000"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(100), "camera raw"),
        (b"\0\0\0\x18ftypisom\0\0\0\1" + bytes(100), "video"),
        (b"8BPS\0\1" + bytes(100), "PSD"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"BM" + struct.pack("<IHHIIiiHHI", 90, 0, 0, 54, 40, 8, 8, 1, 24, 5) + bytes(60), "BMP"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sound_file_that_is_not_read_is_named(file: bytes, what: str) -> None:
    error = refusal(file)
    assert error.code == "unsupported_format"
    assert what in error.message
    assert "damaged" not in error.message


@pytest.mark.parametrize("type_", [SHORT, LONG])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_may_be_a_short_or_a_long(type_: int, orientation: int) -> None:
    data = files.exif([(ORIENTATION, type_, 1, orientation)])
    jpeg = encoded(photograph(), "JPEG")
    file = files.jpeg_segments((0xE1, b"Exif\0\0" + data), of=jpeg)
    turned = np.rot90(read(jpeg), {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    np.testing.assert_array_equal(read(file), turned)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(photograph(64, 96))
    stored = read(encoded(image, "HEIF")).astype(int)
    quarter_turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}[orientation]
    upright = np.rot90(stored, quarter_turns)
    expected = upright[:, ::-1] if orientation in (2, 4, 5, 7) else upright
    pixels = read(encoded(image, "HEIF", exif=exif.tobytes()))
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).mean() < 3
