"""What shows through a picture is the background, whatever lies under transparent pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from decoding import open_picture, versions
from decoding.pictures import BLACK, WHITE, Pixels
from tests.hostile import files
from tests.hostile.files import encoded

RANDOM = np.random.default_rng(3)
COLOURS = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = COLOURS[:, :, :1]
ALPHA = RANDOM.integers(0, 256, (20, 30, 1), dtype=np.uint8)


def decode(file: bytes, background: int, channels: int | None = None) -> tuple[Pixels, bool]:
    picture = open_picture(memoryview(file))
    out = np.zeros((picture.height, picture.width, channels or picture.channels), np.uint8)
    shows = picture.decode(out, background)
    assert picture.has_alpha or not shows
    return out, shows


def over(colours: Pixels, alpha: Pixels, background: int) -> Pixels:
    """By the definition (Porter and Duff, 1984)."""
    part = alpha / 255
    return np.round(colours * part + background * (1 - part)).astype(np.uint8)


def with_alpha(colours: Pixels, alpha: Pixels) -> Image.Image:
    return Image.fromarray(np.concatenate([colours, alpha], axis=2))


@pytest.mark.parametrize("background", [WHITE, BLACK, 100])
@pytest.mark.parametrize("colours", [GREY, COLOURS], ids=["grey", "colours"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_lets_the_background_through(kind: str, colours: Pixels, background: int) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    file = encoded(with_alpha(colours, ALPHA), kind, **options)
    pixels, shows = decode(file, background)
    expected = over(colours, ALPHA, background)
    np.testing.assert_array_equal(pixels, np.broadcast_to(expected, pixels.shape))
    assert shows


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_an_opaque_alpha_changes_nothing(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    plain = encoded(COLOURS, kind, **options)
    opaque = encoded(with_alpha(COLOURS, np.full_like(ALPHA, 255)), kind, **options)
    pixels, shows = decode(opaque, BLACK)
    np.testing.assert_array_equal(pixels, decode(plain, WHITE)[0])
    assert not shows


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
def test_what_lies_under_transparent_pixels_is_not_seen(kind: str) -> None:
    alpha = np.zeros_like(ALPHA)
    for background in (WHITE, BLACK):
        pixels, shows = decode(encoded(with_alpha(COLOURS, alpha), kind), background)
        assert shows
        assert (pixels == background).all()


def test_decoding_again_gives_the_other_background() -> None:
    picture = open_picture(memoryview(encoded(with_alpha(COLOURS, ALPHA), "PNG")))
    for background in (WHITE, BLACK, WHITE):
        out = np.zeros(COLOURS.shape, np.uint8)
        assert picture.decode(out, background)
        np.testing.assert_array_equal(out, over(COLOURS, ALPHA, background))


def test_luma_is_that_of_the_picture_over_its_background() -> None:
    composed = Image.fromarray(over(COLOURS, ALPHA, WHITE))
    pixels, _ = decode(encoded(with_alpha(COLOURS, ALPHA), "PNG"), WHITE, channels=1)
    np.testing.assert_array_equal(pixels[:, :, 0], np.asarray(composed.convert("L")))


def test_entries_of_a_palette_may_be_transparent() -> None:
    palette = Image.fromarray(COLOURS).quantize(40)
    indices = np.asarray(palette)[:, :, None]
    opacities = bytes(range(0, 200, 5))
    file = encoded(palette, "PNG", transparency=opacities)
    colours = np.asarray(palette.convert("RGB"))
    alpha = np.frombuffer(opacities, np.uint8)[indices]
    np.testing.assert_array_equal(decode(file, WHITE)[0], over(colours, alpha, WHITE))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_grey_of_a_png_may_be_transparent(depth: int) -> None:
    most = (1 << depth) - 1
    values = RANDOM.integers(0, most + 1, (8, 16)).astype(np.uint16)
    key = int(values[0, 0])
    bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(8, 16, 2), axis=2)
    rows = np.packbits(bits[:, :, -depth:].reshape(8, -1), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    file = files.png(16, 8, data, files.chunk(b"tRNS", struct.pack(">H", key)), depth=depth)
    expected = np.where(values == key, 255, np.round(values / most * 255)).astype(np.uint8)
    np.testing.assert_array_equal(decode(file, WHITE)[0][:, :, 0], expected)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_colour_of_a_png_may_be_transparent(depth: int) -> None:
    values = RANDOM.integers(0, 3, (8, 16, 3)).astype(np.uint16) * (1 if depth == 8 else 300)
    key = struct.pack(">3H", *values[0, 0])
    samples = values.astype(">u2" if depth == 16 else np.uint8)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in samples))
    file = files.png(16, 8, data, files.chunk(b"tRNS", key), depth=depth, colour=2)
    eight = np.round(values / 257) if depth == 16 else values
    is_key = (values == values[0, 0]).all(axis=2, keepdims=True)
    expected = np.where(is_key, 255, eight).astype(np.uint8)
    np.testing.assert_array_equal(decode(file, WHITE)[0], expected)


@pytest.mark.parametrize(("colour", "channels"), [(4, 1), (6, 3)], ids=["grey", "RGB"])
def test_alpha_of_16_bits(colour: int, channels: int) -> None:
    values = RANDOM.integers(0, 65536, (8, 16, channels + 1)).astype(np.uint16)
    data = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    file = files.png(16, 8, data, depth=16, colour=colour)
    eight = np.round(values / 257).astype(np.uint8)
    pixels, shows = decode(file, BLACK)
    np.testing.assert_array_equal(pixels, over(eight[:, :, :-1], eight[:, :, -1:], BLACK))
    assert shows


@pytest.mark.parametrize("is_transparent", [False, True])
def test_a_gif_whose_first_frame_is_smaller_leaves_its_canvas_free(is_transparent: bool) -> None:
    frame = np.zeros((10, 12), np.uint8)
    frame[2:5, 3:7] = 1
    image = Image.fromarray(frame, "P")
    image.putpalette([200, 0, 0, 0, 90, 0])
    options = {"transparency": 1} if is_transparent else {}
    small = encoded(image, "GIF", **options)
    at = small.index(b",", 13 + 3 * (2 << (small[10] & 7)))
    file = bytearray(small)
    file[6:10] = struct.pack("<HH", 20, 16)  # the canvas
    file[at + 1 : at + 5] = struct.pack("<HH", 5, 4)  # where the frame lies
    expected = np.full((16, 20, 3), 255, np.uint8)
    expected[4:14, 5:17] = (200, 0, 0)
    expected[6:9, 8:12] = 255 if is_transparent else (0, 90, 0)
    pixels, shows = decode(bytes(file), WHITE)
    np.testing.assert_array_equal(pixels, expected)
    assert shows


def test_a_webp_whose_first_frame_is_smaller_leaves_its_canvas_free() -> None:
    small = encoded(COLOURS[:10, :12], "WEBP", lossless=True)
    bitstream = small[12:]
    place = b"".join(n.to_bytes(3, "little") for n in (4 // 2, 2 // 2, 11, 9, 100)) + b"\2"
    canvas = (30 - 1).to_bytes(3, "little") + (20 - 1).to_bytes(3, "little")
    file = files.webp(
        (b"VP8X", b"\2\0\0\0" + canvas), (b"ANIM", bytes(6)), (b"ANMF", place + bitstream)
    )
    expected = np.full((20, 30, 3), 255, np.uint8)
    expected[2:12, 4:16] = COLOURS[:10, :12]
    pixels, shows = decode(file, WHITE)
    np.testing.assert_array_equal(pixels, expected)
    assert shows


def test_a_pair_with_transparency_has_a_version_on_black() -> None:
    clear, plain = encoded(with_alpha(COLOURS, ALPHA), "PNG"), encoded(COLOURS, "PNG")
    pair = [open_picture(memoryview(clear)), open_picture(memoryview(plain))]
    on_white, on_black = versions(pair)
    np.testing.assert_array_equal(on_white, [over(COLOURS, ALPHA, WHITE), COLOURS])
    np.testing.assert_array_equal(on_black, [over(COLOURS, ALPHA, BLACK), COLOURS])


def test_what_has_no_transparency_has_one_version() -> None:
    clear, plain = encoded(with_alpha(COLOURS, ALPHA), "PNG"), encoded(COLOURS, "PNG")
    assert len(versions([open_picture(memoryview(clear))])) == 1
    assert len(versions([open_picture(memoryview(plain)), open_picture(memoryview(plain))])) == 1
