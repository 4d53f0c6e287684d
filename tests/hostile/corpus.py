"""Files that nobody means well with, or that are rare, each with what the service owes it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import simplejpeg
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageOps

from decoding import FORMATS
from tests.hostile import files
from tests.hostile.files import Pixels, encoded

SIDE = 200
APP1, COMMENT = 0xE1, 0xFE
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Entry:
    """One upload.

    Attributes:
        name: what is odd about it.
        file: its bytes.
        expected: the pixels `[H, W, C]` whose score it gets; or the code of the problem.
        filename, content_type: what the client says that it is.
    """

    name: str
    file: bytes
    expected: Pixels | str
    filename: str = "picture"
    content_type: str = "application/octet-stream"


def corpus() -> list[Entry]:
    """All of them, the same every time."""
    parts = (damaged, bombs, lies, disguises, polyglots, not_pictures, modes, rare_codings, exif)
    return [entry for part in parts for entry in part()]


def photograph(height: int = SIDE, width: int = SIDE + 20) -> Pixels:
    """A picture, RGB."""
    return np.ascontiguousarray(skimage.data.astronaut()[:height, 100 : 100 + width])


def grey() -> Pixels:
    """The same picture, `[H, W, 1]`."""
    return np.asarray(Image.fromarray(photograph()).convert("L"))[:, :, None]


def decoded(file: bytes) -> Pixels:
    """The upright pixels of a file, as Pillow reads it: grey or RGB.

    Raises:
        OSError, RuntimeError, SyntaxError, ValueError: it is damaged.
    """
    with Image.open(BytesIO(file)) as image:
        upright = ImageOps.exif_transpose(image)
        pixels = np.asarray(upright.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


def damaged() -> Iterator[Entry]:
    """Every format cut off anywhere, and with a bit turned over anywhere behind its header."""
    random = np.random.default_rng(6)
    for kind in FORMATS:
        whole = encoded(photograph(), kind)
        for share in (0.1, 0.5, 0.9):
            end = int(len(whole) * share)
            yield Entry(f"{kind} cut off at {share:.0%}", whole[:end], "invalid_image")
        for position in sorted(random.integers(len(whole) // 4, len(whole), 6)):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << int(random.integers(8))
            file = bytes(flipped)
            try:
                if kind == "JPEG":  # Pillow does not hear of libjpeg-turbo's complaints
                    simplejpeg.decode_jpeg(file, strict=True)
                expected: Pixels | str = decoded(file)
            except (OSError, RuntimeError, SyntaxError, ValueError):
                expected = "invalid_image"
            yield Entry(f"{kind} with a bit turned at {position}", file, expected)


def bombs() -> Iterator[Entry]:
    """Small files that would fill a gigabyte, or keep a core busy for minutes."""
    giga = files.zeros(1 << 30)
    yield Entry("PNG of a gigapixel", files.png(32768, 32768, giga), "too_many_pixels")
    yield Entry(
        "PNG with a gigabyte behind its pixels", files.png(SIDE, SIDE, giga), "score_undefined"
    )
    profile = files.chunk(b"iCCP", b"a\0\0" + giga)
    yield Entry("PNG with a colour profile of a gigabyte", flat_png(profile), "invalid_image")
    texts = [files.chunk(b"zTXt", b"a\0\0" + files.zeros(1 << 20))] * 1000
    yield Entry("PNG with a thousand texts of a megabyte", flat_png(*texts), "invalid_image")
    pieces = [files.chunk(b"prIv", b"")] * 1_100_000
    yield Entry("PNG of a million chunks", flat_png(*pieces), "invalid_image")

    yield Entry(
        "WebP of 268 megapixels", files.webp(files.webp_flat(16384, 16384)), "too_many_pixels"
    )
    animated = files.webp(files.webp_canvas(1 << 24, 1 << 7), files.webp_flat(SIDE, SIDE))
    yield Entry("WebP with a canvas of 2 gigapixels", animated, "invalid_image")
    animated = files.webp(files.webp_canvas(1 << 14, 1 << 14), files.webp_flat(SIDE, SIDE))
    yield Entry("WebP with a frame in a huge canvas", animated, "invalid_image")

    yield Entry(
        "TIFF of a gigapixel", files.tiff(32768, 32768, giga, compression=8), "too_many_pixels"
    )
    tile = files.tiff(SIDE, SIDE, giga, compression=8, tile=32768)
    yield Entry("TIFF with a tile of a gigapixel", tile, "too_many_pixels")
    strips = files.tiff(16, 2_000_000, bytes(8_000_000), rows_per_strip=1, strips=2_000_000)
    yield Entry("TIFF of two million strips", strips, "invalid_image")

    large = encoded(Image.new("P", (2000, 2000)), "GIF")
    start = large.index(b",", 13 + 3 * (2 << (large[10] & 7)))
    frames = large[:start] + large[start:-1] * 500 + b";"
    yield Entry("GIF of 500 frames of 4 megapixels", frames, "score_undefined")
    beyond = files.gif(SIDE, SIDE, files.gif_frame(30_000, 30_000))
    yield Entry("GIF with a frame of 900 megapixels", beyond, "too_many_pixels")
    comments = files.gif(SIDE, SIDE, b"!\xfe\1a\0" * 1_000_000, files.gif_frame(SIDE, SIDE))
    yield Entry("GIF of a million comments", comments, "invalid_image")

    progressive = encoded(photograph(), "JPEG", progressive=True)
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    scans = progressive[:-2] + last * (4_000_000 // len(last)) + progressive[-2:]
    yield Entry("JPEG of thousands of scans", scans, "invalid_image")
    padded = scans[:2] + b"\xff\x01\xff" + scans[2:]
    yield Entry(
        "JPEG of thousands of scans behind a marker without length", padded, "invalid_image"
    )
    plain = encoded(photograph(), "JPEG")
    segments = plain[:2] + files.jpeg_segment(COMMENT, b"") * 2_000_000 + plain[2:]
    yield Entry("JPEG of two million segments", segments, "invalid_image")
    claims = [(tag, files.UNDEFINED, 60_000, 8) for tag in range(40_000, 45_000)]
    segments = files.jpeg_segments((APP1, b"Exif\0\0" + files.exif(claims)), of=plain)
    yield Entry("JPEG with 300 megabytes of Exif", segments, decoded(plain))
    claims = [(tag, files.UNDEFINED, 1_000_000, 8) for tag in range(40_000, 44_000)]
    data = noise(1_000_000)
    file = files.tiff(SIDE, SIDE, data, *claims)
    yield Entry("TIFF with 4 gigabytes of tags", file, shaped(data, SIDE, SIDE))


def lies() -> Iterator[Entry]:
    """Headers that say what is not so: huge sides, none at all, more or less than there is."""
    data = noise(3 * SIDE * SIDE)
    rows = zlib.compress(data)
    huge, none = 2**31 - 1, "invalid_image"
    yield Entry("PNG of the largest size", files.png(huge, huge, rows), "too_many_pixels")
    yield Entry("PNG of no width", files.png(0, SIDE, rows), none)
    yield Entry("PNG of no height", files.png(SIDE, 0, rows), none)
    yield Entry("PNG with too few rows", files.png(2000, 2000, rows), none)
    yield Entry("BMP of the largest size", files.bmp(huge, huge, data), "too_many_pixels")
    yield Entry("BMP of no width", files.bmp(0, SIDE, data), none)
    yield Entry("BMP with too few rows", files.bmp(2000, 2000, data), none)
    yield Entry("TIFF of the largest size", files.tiff(huge, huge, data), "too_many_pixels")
    yield Entry("TIFF of no width", files.tiff(0, SIDE, data), none)
    yield Entry("TIFF with too few rows", files.tiff(2000, 2000, data), none)
    looped = files.tiff(SIDE, SIDE, data)[:4] + struct.pack("<I", 4)
    yield Entry("TIFF whose directory is its header", looped + bytes(100), none)
    yield Entry("TIFF without a directory", b"II*\0" + struct.pack("<I", 1 << 31), none)
    far = b"II+\0" + struct.pack("<HHQ", 8, 0, 2**64 - 1)
    yield Entry("BigTIFF with its directory beyond everything", far, none)
    yield Entry("BigTIFF in the other byte order", b"MM\0+" + far[4:], "unsupported_format")
    frame = files.gif_frame(0xFFFF, 0xFFFF)
    yield Entry("GIF of the largest size", files.gif(0xFFFF, 0xFFFF, frame), "too_many_pixels")
    yield Entry("GIF of no width", files.gif(0, SIDE, files.gif_frame(0, SIDE)), none)
    yield Entry("GIF without a frame", files.gif(SIDE, SIDE), none)
    yield Entry("GIF with too few pixels", files.gif(SIDE, SIDE, files.gif_frame(SIDE, SIDE)), none)
    cut = files.webp((b"VP8L", b"\x2f" + b"\xff" * 4))
    yield Entry("WebP of nothing but its size", cut, none)

    jpeg, avif = encoded(photograph(), "JPEG"), encoded(photograph(), "AVIF")
    frame_at = jpeg.index(b"\xff\xc0") + 5  # height, width
    for name, height, width, code in (
        ("of the largest size", 0xFFFF, 0xFFFF, "too_many_pixels"),
        ("of no height", 0, SIDE, none),
        ("of no width", SIDE, 0, none),
    ):
        sides = struct.pack(">HH", height, width)
        yield Entry(f"JPEG {name}", jpeg[:frame_at] + sides + jpeg[frame_at + 4 :], code)
    more = jpeg[:frame_at] + struct.pack(">HH", 2 * SIDE, SIDE + 20) + jpeg[frame_at + 4 :]
    yield Entry("JPEG with too few rows", more, none)
    size_at = avif.index(b"ispe") + 8  # width, height
    for name, side, code in (
        ("of the largest size", 2**32 - 1, none),
        ("of a gigapixel", 32768, none),
        ("of 200 megapixels", 14142, "too_many_pixels"),
        ("of no size", 0, none),
    ):
        sides = struct.pack(">II", side, side)
        yield Entry(f"AVIF {name}", avif[:size_at] + sides + avif[size_at + 8 :], code)


def disguises() -> Iterator[Entry]:
    """Pictures under a wrong name and type, which say nothing on the content."""
    for kind, (filename, content_type) in zip(
        FORMATS,
        (
            ("photo.txt", "text/plain"),
            ("photo.jpg", "image/jpeg"),
            ("photo.gif", "image/gif"),
            ("photo.png", "image/png"),
            ("../../etc/passwd", "application/x-php"),
            ('%00"; DROP', "text/html"),
            ("", "no type at all"),
            ("IMG_0001.jpg", "image/jpeg"),
        ),
        strict=True,
    ):
        file = encoded(photograph(), kind)
        yield Entry(f"{kind} as {content_type}", file, decoded(file), filename, content_type)


def polyglots() -> Iterator[Entry]:
    """Files that are a picture and something else: scored where the picture comes first."""
    archive = b"PK\5\6" + bytes(18)
    script = b"<?php system($_GET['c']); ?><script>alert(1)</script>"
    for kind in FORMATS:
        file = encoded(photograph(), kind)
        for name, tail in (("an archive", archive), ("a script", script)):
            yield Entry(f"{kind} and {name}", file + tail, decoded(file))
        yield Entry(f"script before {kind}", script + file, "unsupported_format")
    jpeg = encoded(photograph(), "JPEG")
    hidden = files.jpeg_segments((COMMENT, script), of=jpeg)
    yield Entry("JPEG with a script in it", hidden, decoded(jpeg))
    yield Entry("PDF with a JPEG in it", b"%PDF-1.7\n" + jpeg, "unsupported_format")
    gif = files.gif(0x2F2A, 16, files.gif_frame(16, 16))  # the width reads /* in JavaScript
    yield Entry("GIF that is JavaScript", gif, "invalid_image")


def not_pictures() -> Iterator[Entry]:
    """Text and other files."""
    yield Entry("nothing", b"", "invalid_image")
    for name, file in (
        ("text", "Grüße aus Köln\n".encode()),
        ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        ("SVG with an entity", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "/">]><svg/>'),
        ("HTML", b"<!DOCTYPE html><title>x</title>"),
        ("PDF", b"%PDF-1.7\n"),
        ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n"),
        ("archive", b"PK\3\4" + bytes(26)),
        ("program", b"\x7fELF" + bytes(60)),
        ("zeros", bytes(100_000)),
        ("noise", noise(100_000)),
        ("start of a JPEG", b"\xff\xd8"),
        ("JPEG 2000", encoded(photograph(), "JPEG2000")),
        ("icon", encoded(photograph(64, 64), "ICO")),
        ("PPM", encoded(photograph(), "PPM")),
    ):
        yield Entry(name, file, "unsupported_format")
    for name, file in (
        ("start of a PNG", b"\x89PNG\r\n\x1a\n"),
        ("start of a GIF", b"GIF89a"),
        ("start of a WebP", b"RIFF\xff\xff\xff\xffWEBPVP8 "),
        ("start of a BMP", b"BM"),
        ("start of a TIFF", b"MM\0*"),
        ("start of an AVIF", b"\0\0\0\x1cftypavif"),
        ("JPEG without a picture", b"\xff\xd8\xff\xd9"),
        ("JPEG of zeros", b"\xff\xd8\xff\xe0" + bytes(1000)),
    ):
        yield Entry(name, file, "invalid_image")


def modes() -> Iterator[Entry]:
    """Every mode of Pillow's, in each format that can hold it without loss."""
    colour, light = Image.fromarray(photograph()), Image.fromarray(grey()[:, :, 0])
    bilevel, palette = light.convert("1"), colour.quantize(200)
    clear = Image.fromarray(shaped(noise(100_000), SIDE, SIDE + 20)[:, :, 0])
    rgba, la, pa = colour.copy(), light.copy(), palette.convert("PA")
    rgba.putalpha(clear)
    la.putalpha(clear)
    pa.putalpha(clear)
    painted = np.asarray(palette.convert("RGB"))
    cmyk, ycbcr = colour.convert("CMYK"), colour.convert("YCbCr")
    for image, kinds, pixels in (
        (bilevel, ("PNG", "BMP", "TIFF"), np.asarray(bilevel.convert("L"))[:, :, None]),
        (light, ("PNG", "BMP", "TIFF"), grey()),
        (la, ("PNG", "TIFF"), over_white(la)),
        (palette, ("PNG", "BMP", "TIFF", "GIF"), painted),
        (pa, ("TIFF",), over_white(pa)),
        (colour, ("PNG", "BMP", "TIFF"), photograph()),
        (rgba, ("PNG", "TIFF"), over_white(rgba)),
        (cmyk, ("TIFF",), np.asarray(cmyk.convert("RGB"))),
        (ycbcr, ("TIFF",), np.asarray(ycbcr.convert("RGB"))),
    ):
        for kind in kinds:
            yield Entry(f"{image.mode} in {kind}", encoded(image, kind), pixels)
    opacities = bytes(range(200))
    file = encoded(palette, "PNG", transparency=opacities)
    entries = palette.copy()
    entries.info["transparency"] = opacities
    yield Entry("P with transparency in PNG", file, over_white(entries))
    yield Entry("RGBA in WebP", encoded(rgba, "WEBP", lossless=True), over_white(rgba))
    for image, kind in ((cmyk, "JPEG"), (ycbcr, "JPEG"), (light, "JPEG")):
        file = encoded(image, kind)
        yield Entry(f"{image.mode} in {kind}", file, decoded(file))
    for mode in ("F", "I"):
        file = encoded(light.convert(mode), "TIFF")
        yield Entry(f"{mode} in TIFF", file, "unsupported_format")


def rare_codings() -> Iterator[Entry]:
    """What encoders can write but seldom do."""
    deep = photograph().astype(np.uint16) * 256 + np.arange(SIDE + 20, dtype=np.uint16)[:, None]
    scaled = rounded(deep[:, :, :1])
    yield Entry("grey PNG of 16 bits", files.png_16_bit(deep[:, :, :1]), scaled)
    yield Entry("RGB PNG of 16 bits", files.png_16_bit(deep), rounded(deep))
    yield Entry("I;16 in TIFF", encoded(Image.fromarray(deep[:, :, 0]), "TIFF"), scaled)
    yield Entry("interlaced PNG", files.interlaced_png(grey()), grey())
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        file = encoded(photograph(), "TIFF", compression=name)
        yield Entry(f"{name} in TIFF", file, photograph())
    tile = noise(256 * 256)
    file = files.tiff(250, 250, tile, tile=256)
    yield Entry("TIFF in one tile", file, shaped(tile, 256, 256)[:250, :250])
    for progressive in (False, True):
        name = "progressive " if progressive else ""
        file = encoded(photograph(), "JPEG", progressive=progressive)
        yield Entry(f"{name}JPEG", file, decoded(file))
        file = files.arithmetic_jpeg(photograph(), progressive=progressive)
        yield Entry(f"{name}JPEG with arithmetic coding", file, decoded(file))
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        first, second = Image.fromarray(photograph()), Image.fromarray(photograph()[::-1])
        file = encoded(first, kind, save_all=True, append_images=[second])
        yield Entry(f"animated {kind}", file, decoded(file))


def exif() -> Iterator[Entry]:
    """Every orientation, and Exif data that are damaged or lie: the picture is as it is stored."""
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):  # the others have none
        options = {"lossless": True} if kind == "WEBP" else {}
        stored = decoded(encoded(photograph(), kind, **options))
        for orientation in range(1, 9):
            data = Image.Exif()
            data[ORIENTATION] = orientation
            file = encoded(photograph(), kind, exif=data, **options)
            yield Entry(f"{kind} turned as {orientation}", file, turned(stored, orientation))
    plain = encoded(photograph(), "JPEG")
    upright = decoded(plain)
    for name, data in (
        ("of nothing", b""),
        ("of noise", noise(1000)),
        ("without a directory", b"II*\0\xff\xff\xff\xff"),
        ("whose directory is itself", b"II*\0\0\0\0\0"),
        ("with an orientation of 9", files.exif([(ORIENTATION, files.SHORT, 1, 9)])),
        ("with an orientation of 0", files.exif([(ORIENTATION, files.SHORT, 1, 0)])),
        ("with an orientation elsewhere", files.exif([(ORIENTATION, files.UNDEFINED, 9, 2**31)])),
        ("cut off", files.exif([(ORIENTATION, files.SHORT, 1, 6)])[:16]),
    ):
        file = files.jpeg_segments((APP1, b"Exif\0\0" + data), of=plain)
        yield Entry(f"JPEG with Exif {name}", file, upright)
        png = encoded(photograph(), "PNG")
        end = png.index(b"IDAT") - 4
        file = png[:end] + files.chunk(b"eXIf", data) + png[end:]
        yield Entry(f"PNG with Exif {name}", file, photograph())
    late = files.chunk(b"eXIf", files.exif([(ORIENTATION, files.SHORT, 1, 6)]))
    file = png[:-12] + late + png[-12:]
    yield Entry("PNG with Exif after its pixels", file, turned(photograph(), 6))


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """The picture upright, of one stored in that orientation (Exif 2.32, 4.6.4)."""
    quarter_turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}
    upright = np.rot90(pixels, quarter_turns[orientation])
    return upright[:, ::-1] if orientation in (2, 4, 5, 7) else upright


def noise(count: int) -> bytes:
    """Random bytes, the same every time."""
    return np.random.default_rng(count).bytes(count)


def shaped(data: bytes, height: int, width: int) -> Pixels:
    """The first bytes as a grey picture."""
    return np.frombuffer(data, np.uint8, height * width).reshape(height, width, 1)


def rounded(samples: NDArray[np.uint16]) -> Pixels:
    """Samples of 16 bits in 8."""
    return np.round(samples / 257).astype(np.uint8)


def over_white(image: Image.Image) -> Pixels:
    """A picture with transparency as a white page shows it."""
    pixels = np.asarray(image.convert("RGBA")).astype(float)
    alpha = pixels[:, :, 3:] / 255
    over = np.round(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return over[:, :, :1] if image.mode == "LA" else over


def flat_png(*extra: bytes) -> bytes:
    """A PNG of one grey, with extra chunks."""
    return files.png(SIDE, SIDE, zlib.compress(bytes((SIDE + 1) * SIDE)), *extra)
