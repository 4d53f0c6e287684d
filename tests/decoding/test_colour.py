"""Embedded profiles are converted to sRGB, those that say nothing else are not."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from decoding import open_picture, read
from decoding.colour import MOST_BYTES, conversion
from decoding.pictures import Pixels
from tests.hostile import files
from tests.hostile.files import encoded

RANDOM = np.random.default_rng(11)
COLOURS = RANDOM.integers(0, 256, (48, 64, 3), dtype=np.uint8)
GREY = RANDOM.integers(0, 256, (48, 64), dtype=np.uint8)

# Primaries (CIE XYZ, adapted to D50) of Display P3, by its ICC profile.
P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
WHITE_POINT = (0.9642, 1.0, 0.8249)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def curve(*parameters: float) -> bytes:
    """A parametric curve: of one parameter a power, of five sRGB's kind (ICC.1, 10.18)."""
    kind = {1: 0, 5: 3}[len(parameters)]
    numbers = struct.pack(f">{len(parameters)}i", *(round(p * 65536) for p in parameters))
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + numbers


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 4 for a display."""
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + b"\0x\0\0"
    tags = {b"desc": text, b"cprt": text, b"wtpt": xyz(*WHITE_POINT), **tags}
    position, directory, content = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        directory += name + struct.pack(">II", position + len(content), len(value))
        content += padded
    body = struct.pack(">I", len(tags)) + directory + content
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), b"", 0x04300000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + body


def matrix_profile(primaries: tuple[tuple[float, ...], ...], *parameters: float) -> bytes:
    tags = {name: xyz(*p) for name, p in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(*parameters))
    return profile(b"RGB ", tags)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DISPLAY_P3 = matrix_profile(P3, *SRGB_CURVE)
SRGB_PRIMARIES = (
    (0.43607, 0.22249, 0.01392),
    (0.38515, 0.71687, 0.09708),
    (0.14307, 0.06061, 0.7141),
)
SWAPPED = matrix_profile((SRGB_PRIMARIES[1], SRGB_PRIMARIES[0], SRGB_PRIMARIES[2]), *SRGB_CURVE)
GREY_GAMMA_1 = profile(b"GRAY", {b"kTRC": curve(1.0)})


def linear(values: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: sRGB's curve, which is Display P3's, too."""
    values = values / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode_curve(values: np.ndarray) -> np.ndarray:
    values = np.clip(values, 0, 1)
    curved = 1.055 * values ** (1 / 2.4) - 0.055
    return 255 * np.where(values <= 0.0031308, 12.92 * values, curved)


def from_p3(pixels: Pixels) -> np.ndarray:
    to_srgb = np.linalg.inv(np.array(SRGB_PRIMARIES).T) @ np.array(P3).T
    return encode_curve(linear(pixels) @ to_srgb.T)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_display_p3_becomes_srgb(kind: str) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"subsampling": 0}}.get(kind, {})
    flat = np.full((48, 64, 3), (200, 90, 60), np.uint8)  # survives a lossy format
    stored = read(encoded(flat, kind, **options))
    file = encoded(flat, kind, icc_profile=DISPLAY_P3, **options)
    assert np.abs(read(file) - from_p3(stored)).max() <= 1.5
    assert np.abs(from_p3(stored) - stored).max() > 10
    np.testing.assert_array_equal(read(file, colour="stored"), stored)


def test_every_colour_is_converted() -> None:
    file = encoded(COLOURS, "PNG", icc_profile=DISPLAY_P3)
    assert np.abs(read(file) - from_p3(COLOURS)).max() <= 2


def test_a_profile_that_swaps_red_and_green_is_noticed() -> None:
    swapped = read(encoded(COLOURS, "PNG", icc_profile=SWAPPED)).astype(int)
    assert np.abs(swapped - COLOURS[:, :, [1, 0, 2]]).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_grey_profile_keeps_pictures_grey(kind: str) -> None:
    flat = np.full((48, 64), 60, np.uint8)
    pixels = read(encoded(flat, kind, icc_profile=GREY_GAMMA_1))
    assert pixels.shape == (48, 64, 1)
    assert np.abs(pixels - encode_curve(flat / 255)[:, :, None]).max() <= 1.5


def test_colours_under_alpha_are_converted_before_they_are_composited() -> None:
    alpha = np.full((48, 64, 1), 128, np.uint8)
    image = Image.fromarray(np.concatenate([COLOURS, alpha], axis=2))
    expected = from_p3(COLOURS) * (128 / 255) + 255 * (127 / 255)
    assert np.abs(read(encoded(image, "PNG", icc_profile=DISPLAY_P3)) - expected).max() <= 2


def test_samples_of_16_bits_are_converted_too() -> None:
    deep = COLOURS.astype(np.uint16) * 257
    data = files.png_16_bit(deep)
    with_profile = BytesIO()
    Image.fromarray(COLOURS).save(with_profile, "PNG", icc_profile=DISPLAY_P3)
    whole = with_profile.getvalue()
    start = whole.index(b"iCCP") - 4
    chunk = whole[start : start + 12 + int.from_bytes(whole[start : start + 4], "big")]
    pixels = read(data[:33] + chunk + data[33:])
    np.testing.assert_array_equal(pixels, read(whole))


def test_luma_of_a_jpeg_is_that_of_its_converted_colours() -> None:
    file = memoryview(encoded(COLOURS, "JPEG", icc_profile=DISPLAY_P3))
    picture = open_picture(file, luma_only=True)
    out = np.zeros((48, 64, 1), np.uint8)
    picture.decode(out)
    luma = np.asarray(Image.fromarray(read(file)).convert("L"))
    np.testing.assert_array_equal(out[:, :, 0], luma)


@pytest.mark.parametrize(
    "data",
    [
        SRGB,
        matrix_profile(SRGB_PRIMARIES, *SRGB_CURVE),
        GREY_GAMMA_1,  # of another colour space than the picture
        DISPLAY_P3[:-40],
        DISPLAY_P3[:64],
        b"no profile at all",
        DISPLAY_P3.ljust(MOST_BYTES + 1, b"\0"),
    ],
    ids=["sRGB", "sRGB by another maker", "grey", "cut off", "header cut off", "text", "huge"],
)
def test_what_says_nothing_else_leaves_a_picture_as_it_is(data: bytes) -> None:
    assert conversion(data, "RGB") is None
    file = encoded(COLOURS, "JPEG")
    parts = [(data[i : i + 60_000]) for i in range(0, len(data), 60_000)]
    segments = [
        (0xE2, b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part)
        for number, part in enumerate(parts, 1)
    ]
    np.testing.assert_array_equal(read(files.jpeg_segments(*segments, of=file)), read(file))


def test_a_profile_in_several_segments_is_joined_in_their_order() -> None:
    plain = encoded(COLOURS, "JPEG")
    half = len(DISPLAY_P3) // 2
    parts = ((2, DISPLAY_P3[half:]), (1, DISPLAY_P3[:half]))
    segments = [(0xE2, b"ICC_PROFILE\0" + bytes([number, 2]) + part) for number, part in parts]
    whole = encoded(COLOURS, "JPEG", icc_profile=DISPLAY_P3)
    np.testing.assert_array_equal(read(files.jpeg_segments(*segments, of=plain)), read(whole))
    np.testing.assert_array_equal(read(files.jpeg_segments(segments[0], of=plain)), read(plain))


def test_transforms_are_kept() -> None:
    assert conversion(DISPLAY_P3, "RGB") is conversion(bytes(bytearray(DISPLAY_P3)), "RGB")
