"""Pixels are what Pillow makes of the same file, whatever the format, mode or orientation."""

import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps, features

from decoding import FORMATS, open_picture
from decoding.errors import DecodingError

RANDOM = np.random.default_rng(5)


def picture(height: int = 37, width: int = 53, mode: str = "RGB") -> Image.Image:
    ramp = np.linspace(0, 200, height * width).reshape(height, width)
    noise = RANDOM.integers(0, 55, (height, width, 3))
    return Image.fromarray((ramp[:, :, None] + noise).astype(np.uint8)).convert(mode)


def encode(image: Image.Image, format_: str, **options: object) -> memoryview:
    buffer = BytesIO()
    if format_ == "HEIF":
        pillow_heif.from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, format_, **options)
    return memoryview(buffer.getvalue())


def decode(data: memoryview, channels: int | None = None) -> np.ndarray:
    opened = open_picture(data, max_pixels=10_000_000)
    out = np.zeros((opened.height, opened.width, channels or opened.channels), np.uint8)
    opened.decode(out)
    return out


def by_pillow(data: memoryview, mode: str = "RGB") -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_decodes_as_pillow_does(format_: str) -> None:
    data = encode(picture(), format_)
    np.testing.assert_array_equal(decode(data), by_pillow(data))


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"quality": 5}])
def test_jpeg_variants_decode_as_pillow_does(options: dict[str, object]) -> None:
    data = encode(picture(), "JPEG", **options)
    np.testing.assert_array_equal(decode(data), by_pillow(data))


@pytest.mark.parametrize(
    ("mode", "format_", "grey"),
    [
        ("1", "PNG", True),
        ("L", "JPEG", True),
        ("L", "PNG", True),
        ("LA", "PNG", True),
        ("P", "PNG", False),
        ("P", "GIF", False),
        ("RGBA", "PNG", False),
        ("RGBA", "WEBP", False),
        ("CMYK", "JPEG", False),
        ("CMYK", "TIFF", False),
        ("YCbCr", "TIFF", False),
    ],
)
def test_every_mode_becomes_grey_or_rgb(mode: str, format_: str, grey: bool) -> None:
    data = encode(picture(mode=mode), format_)
    np.testing.assert_array_equal(decode(data), by_pillow(data, "L" if grey else "RGB"))


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bit_greyscale_is_scaled(format_: str) -> None:
    values = np.arange(0, 65536, 97, dtype=np.uint16)[:600].reshape(20, 30)
    data = encode(Image.fromarray(values), format_)
    np.testing.assert_array_equal(decode(data)[:, :, 0], np.round(values / 257).astype(np.uint8))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_samples_are_refused(mode: str) -> None:
    with pytest.raises(DecodingError) as caught:
        open_picture(encode(picture(mode="L").convert(mode), "TIFF"), max_pixels=10**6)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(format_: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture(), format_, exif=exif)
    pixels = decode(data)
    assert pixels.shape == ((53, 37, 3) if orientation >= 5 else (37, 53, 3))
    np.testing.assert_array_equal(pixels, by_pillow(data))
    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(decode(data, channels=1)[:, :, 0], luma)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" * 9])
def test_damaged_exif_is_ignored(exif: bytes) -> None:
    plain = picture()
    data = encode(plain, "JPEG", exif=exif)
    np.testing.assert_array_equal(decode(data), decode(encode(plain, "JPEG")))


def test_grey_fills_three_channels_if_its_partner_is_coloured() -> None:
    for format_ in ("JPEG", "PNG"):
        data = encode(picture(mode="L"), format_)
        np.testing.assert_array_equal(decode(data, channels=3), by_pillow(data, "RGB"))


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animations_give_their_first_frame(format_: str) -> None:
    first, second = picture(), ImageOps.invert(picture())
    data = encode(first, format_, save_all=True, append_images=[second])
    np.testing.assert_array_equal(decode(data), by_pillow(data))


def test_jpeg_luma_plane_is_optional() -> None:
    colours = RANDOM.integers(0, 2, (37, 53, 3), dtype=np.uint8) * 255  # clipped when decoded
    data = encode(Image.fromarray(colours), "JPEG")
    opened = open_picture(data, max_pixels=10**6, luma_only=True)
    assert opened.channels == 1
    out = np.zeros((37, 53, 1), np.uint8)
    opened.decode(out)
    difference = np.abs(out[:, :, 0].astype(int) - by_pillow(data, "L")[:, :, 0])
    assert 0 < difference.mean() < 10


def png_header(width: int, height: int) -> memoryview:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return memoryview(b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", 0) + b"IDAT")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (memoryview(b""), "invalid_image"),
        (memoryview(b"just text"), "unsupported_format"),
        (memoryview(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "unsupported_format"),
        (memoryview(b"%PDF-1.7"), "unsupported_format"),
        (memoryview(b"\xff\xd8"), "unsupported_format"),
        (memoryview(b"\xff\xd8\xff\xe0" + b"\0" * 100), "invalid_image"),
        (memoryview(b"\x89PNG\r\n\x1a\n"), "invalid_image"),
        (png_header(100_000, 100_000), "too_many_pixels"),
        (png_header(0, 100), "invalid_image"),
    ],
)
def test_what_is_not_an_image_gets_its_code(data: memoryview, code: str) -> None:
    with pytest.raises(DecodingError) as caught:
        open_picture(data, max_pixels=50_000_000)
    assert caught.value.code == code


def late_exif(orientation: int) -> bytes:
    data = encode(picture(), "PNG").tobytes()
    entry = struct.pack("<HHII", 274, 3, 1, orientation)
    content = b"eXIf" + b"II*\0\x08\0\0\0\1\0" + entry + bytes(4)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return data[:-12] + chunk + data[-12:]


def test_a_png_is_not_decoded_to_learn_how_it_is_turned() -> None:
    data = late_exif(6)
    whole = open_picture(memoryview(data), max_pixels=10**6)
    assert (whole.height, whole.width) == (53, 37)
    cut = data.index(b"IDAT") + 1000
    damaged = memoryview(data[:cut] + b"\0" * 8 + data[cut + 8 :])
    opened = open_picture(damaged, max_pixels=10**6)  # nobody has looked at the pixels yet
    with pytest.raises(DecodingError) as caught:
        opened.decode(np.zeros((53, 37, 3), np.uint8))
    assert caught.value.code == "invalid_image"


def tiff(*entries: tuple[int, int, int, int]) -> memoryview:
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return memoryview(b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + bytes(4))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_may_have_just_as_many_pixels_as_is_said(format_: str) -> None:
    data = encode(picture(40, 50), format_)
    opened = open_picture(data, max_pixels=40 * 50)
    assert (opened.height, opened.width) == (40, 50)
    with pytest.raises(DecodingError, match="at most 1999 pixels") as caught:
        open_picture(data, max_pixels=40 * 50 - 1)
    assert caught.value.code == "too_many_pixels"


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([(322, 4, 1, 8000), (323, 4, 1, 8000)], "too_many_pixels"),
        ([(322, 3, 1, 16), (322, 4, 1, 8000), (323, 4, 1, 8000)], "too_many_pixels"),
        ([(322, 5, 1, 16), (323, 4, 1, 8000)], "invalid_image"),  # no whole number
        ([(322, 4, 2, 16), (323, 4, 1, 8000)], "invalid_image"),  # no single number
        ([(273, 4, 1 << 20, 8)], "invalid_image"),
        ([(324, 4, 1 << 20, 8)], "invalid_image"),
    ],
)
def test_tiffs_of_huge_or_countless_pieces_are_not_opened(
    entries: list[tuple[int, int, int, int]], code: str
) -> None:
    with pytest.raises(DecodingError) as caught:
        open_picture(tiff(*entries), max_pixels=50_000_000)
    assert caught.value.code == code


def test_scans_of_a_jpeg_are_counted_as_libjpeg_finds_them() -> None:
    plain, several = encode(picture(), "JPEG"), encode(picture(), "JPEG", progressive=True)
    assert open_picture(plain, max_pixels=10**6).is_fast
    assert not open_picture(several, max_pixels=10**6).is_fast
    data = several.tobytes()
    scan = data[data.rindex(b"\xff\xda") : -2]
    thumbnail = b"\xff\xe2" + struct.pack(">H", 2 + 60_000) + b"\xff\xda" * 30_000
    behind = data + b"\xff\xda\0\2" * 1000
    for harmless in (data[:2] + thumbnail + data[2:], behind, behind[:2] + b"\xff" + behind[2:]):
        opened = open_picture(memoryview(harmless), max_pixels=10**6)
        assert (opened.height, opened.width, opened.is_fast) == (37, 53, False)
    for start in (data[:2], data[:2] + b"\xff\xff", data[:2] + b"\xff\1", data[:2] + b"\xff\xd0ab"):
        with pytest.raises(DecodingError, match="scans"):
            open_picture(memoryview(start + data[2:-2] + scan * 100), max_pixels=10**6)
    with pytest.raises(DecodingError, match="segments"):
        open_picture(memoryview(data[:2] + b"\xff\xfe\0\2" * 1000 + data[2:]), max_pixels=10**6)


@pytest.mark.parametrize("format_", FORMATS)
def test_truncated_files_are_invalid(format_: str) -> None:
    data = encode(picture(200, 300), format_)
    with pytest.raises(DecodingError) as caught:
        decode(data[: len(data) // 2])
    assert caught.value.code == "invalid_image"


def test_avif_is_built_in() -> None:
    assert features.check("avif")


WITHOUT_MEMORY = """
import resource, sys
import numpy as np
from decoding import open_picture
from decoding.errors import DecodingError

picture = open_picture(memoryview(open(sys.argv[1], "rb").read()), max_pixels=50_000_000)
out = np.empty((picture.height, picture.width, picture.channels), np.uint8)
held = 4096 * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (held + (20 << 20), -1))
try:
    picture.decode(out)
except DecodingError as problem:
    print(problem.code)
"""


def test_a_sound_file_for_which_memory_lacks_is_not_called_damaged(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    Image.new("RGB", (7000, 7000)).save(file, compress_level=1)
    command = [sys.executable, "-c", WITHOUT_MEMORY, str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "out_of_memory\n"
