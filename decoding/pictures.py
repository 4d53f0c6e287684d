"""From an uploaded file to uint8 pixels: header first, limits next, decoding last."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from decoding import jpeg, png
from decoding.errors import DecodingError
from decoding.tiff import ORIENTATION, UPRIGHT, check_layout
from iqa.luma import write_luma

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})

MOST_READS = 2_000_000  # from one file; a picture takes thousands, but for run-length coded BMP

# What each EXIF orientation asks for, as views of `[H, W, C]`.
ORIENTATIONS: dict[int, Callable[[Pixels], Pixels]] = {
    UPRIGHT: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels.transpose(1, 0, 2)[:, ::-1],
    7: lambda pixels: pixels.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda pixels: pixels.transpose(1, 0, 2)[::-1],
}

warnings.filterwarnings("ignore", module="PIL")  # of odd metadata, which says nothing on pixels
Image.init()
Image.MAX_IMAGE_PIXELS = None  # `open_picture` applies the service's own limit


class Picture(Protocol):
    """An uploaded image whose header was read.

    Attributes:
        height, width: in pixels, as the picture is to be seen (after EXIF orientation).
        channels: 1 for a grey file, else 3 (RGB).
        is_fast: decodes at about 200 megapixels a second; others take several times as long.
    """

    height: int
    width: int
    channels: int
    is_fast: bool

    def decode(self, out: Pixels) -> None:
        """Write the pixels to `out`, contiguous `[height, width, C]`.

        Where C is 1, a picture in colours writes its luma; a grey one fills any C.

        Raises:
            DecodingError: `invalid_image`, the file is truncated or damaged.
        """


class JpegPicture:
    """A JPEG that libjpeg-turbo decodes straight into its destination."""

    def __init__(self, data: memoryview, *, luma_only: bool) -> None:
        header = jpeg.read_header(data)
        self._orientation = header.orientation
        self.is_fast = not header.is_progressive
        height, width, colour_space, _ = simplejpeg.decode_jpeg_header(data)
        if colour_space in ("CMYK", "YCCK"):
            raise ValueError("Pillow converts these")
        self._data = data
        self._grey = luma_only or colour_space == "Gray"
        self.channels = 1 if self._grey else 3
        self.height, self.width = _upright_size(height, width, self._orientation)

    def decode(self, out: Pixels) -> None:
        """Write the pixels; see `Picture`."""
        direct = self._orientation == UPRIGHT and out.shape[2] == self.channels
        try:
            pixels = simplejpeg.decode_jpeg(
                self._data, "GRAY" if self._grey else "RGB", buffer=out if direct else None
            )
        except ValueError:  # damaged: Pillow decides whether it can still be read
            with _image_errors():
                PillowPicture(self._data).decode(out)
            return
        if not direct:
            _write(ORIENTATIONS[self._orientation](pixels), out)


class _File(BytesIO):
    """An upload as Pillow reads it: piece by piece, but not in millions of them.

    Each chunk, block or run costs Python objects and calls, so that a few bytes of nothing,
    repeated, would take a thousand times the time and memory of as many bytes of picture.
    """

    _reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes.

        Raises:
            ValueError: there were too many pieces.
        """
        self._reads += 1
        if self._reads > MOST_READS:
            raise ValueError("more pieces than any picture has")
        return super().read(size)


class PillowPicture:
    """An image of any accepted format; of an animation its first frame."""

    is_fast = False

    def __init__(self, data: memoryview) -> None:
        self._image = Image.open(_File(data), formats=FORMATS)
        if self._image.mode not in GREY_MODES | COLOUR_MODES:
            raise DecodingError(
                "unsupported_format", "Send an image with 8 bits a channel, or 16-bit greyscale."
            )
        # Pillow itself turns a TIFF upright, and reports the size that it will have.
        turned = self._image.format == "TIFF"
        self._orientation = UPRIGHT if turned else _orientation(self._image, data)
        self.channels = 1 if self._image.mode in GREY_MODES else 3
        width, height = self._image.size
        self.height, self.width = _upright_size(height, width, self._orientation)

    def decode(self, out: Pixels) -> None:
        """Write the pixels; see `Picture`."""
        with _image_errors(), self._image as image:
            image.load()
            if image.mode.startswith("I;16"):
                pixels = ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)
            else:
                pixels = np.asarray(image.convert("L" if self.channels == 1 else "RGB"))
            _write(ORIENTATIONS[self._orientation](pixels.reshape(*pixels.shape[:2], -1)), out)


def warm_up() -> None:
    """Compile, or load, what decoding needs, which the first request should not wait for."""
    write_luma(np.zeros((1, 1, 3), np.uint8), np.empty((1, 1, 1), np.uint8))


def is_jpeg(data: memoryview) -> bool:
    """Whether the file starts as a JPEG does."""
    return bytes(data[:3]) == b"\xff\xd8\xff"


def open_picture(data: memoryview, *, max_pixels: int, luma_only: bool = False) -> Picture:
    """Read the header of an uploaded file; no pixel is decoded yet.

    Args:
        data: the file.
        max_pixels: most pixels that the image may have.
        luma_only: read a JPEG's own luma plane (as a grey picture) and not its colours.

    Raises:
        DecodingError: `invalid_image`, `unsupported_format`, `too_many_pixels`.
    """
    if not data:
        raise DecodingError("invalid_image", "The file is empty: send an image.")
    with _image_errors():
        picture = _open(data, max_pixels, luma_only)
    if picture.height * picture.width > max_pixels:
        raise DecodingError("too_many_pixels", f"Send an image of at most {max_pixels} pixels.")
    if min(picture.height, picture.width) < 1:
        raise DecodingError("invalid_image", "The image has no pixels.")
    return picture


def _open(data: memoryview, max_pixels: int, luma_only: bool) -> Picture:
    if is_jpeg(data):
        try:
            return JpegPicture(data, luma_only=luma_only)
        except ValueError:
            pass  # not for libjpeg-turbo: Pillow decides
    prefix = bytes(data[:16])
    if _starts_like("TIFF", prefix):
        check_layout(data, max_pixels)
    try:
        return PillowPicture(data)
    except UnidentifiedImageError:
        if any(_starts_like(name, prefix) for name in FORMATS):
            raise
        raise DecodingError(
            "unsupported_format", f"Send an image in one of these formats: {', '.join(FORMATS)}."
        ) from None


def _starts_like(name: str, prefix: bytes) -> bool:
    accept = Image.OPEN[name][1]
    return accept is not None and accept(prefix) is True


def _write(pixels: Pixels, out: Pixels) -> None:
    if out.shape[2] < pixels.shape[2]:
        write_luma(pixels, out)
    else:
        out[...] = pixels


@contextmanager
def _image_errors() -> Iterator[None]:
    """Turn what a decoder raises on a damaged file into a problem."""
    try:
        yield
    except DecodingError:
        raise
    except MemoryError as error:
        raise DecodingError(
            "out_of_memory", "No memory for this size now: try again, or smaller."
        ) from error
    except Exception as error:  # each of Pillow's readers raises what its parser stumbles over
        raise DecodingError(
            "invalid_image", "The image is damaged or incomplete: send it again."
        ) from error


def _orientation(image: Image.Image, data: memoryview) -> int:
    if image.format == "PNG" and "exif" not in image.info and (late := png.exif(data)):
        image.info["exif"] = late
    try:  # not a PNG's own method, which decodes all pixels to see what comes after them
        value = Image.Image.getexif(image).get(ORIENTATION, UPRIGHT)
    except Exception:  # damaged EXIF data says nothing about the picture
        return UPRIGHT
    return value if value in ORIENTATIONS else UPRIGHT


def _upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    return (width, height) if orientation >= 5 else (height, width)
