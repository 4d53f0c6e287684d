"""From a file to a picture whose header was read: which reader it is for, and what is refused."""

from __future__ import annotations

from PIL import UnidentifiedImageError

from decoding import tiff_kinds
from decoding.errors import DecoderErrors, DecodingError
from decoding.formats import FORMATS, foreign, starts_like, unsupported
from decoding.jpeg import JpegPicture, is_jpeg
from decoding.limits import MAX_PIXELS
from decoding.pictures import Colour, Picture
from decoding.pillow import PillowPicture

START = 1024  # bytes that tell what a file is


def open_picture(
    data: memoryview,
    *,
    max_pixels: int = MAX_PIXELS,
    luma_only: bool = False,
    colour: Colour = "srgb",
) -> Picture:
    """Read the header of a file; no pixel is decoded yet.

    Args:
        data: the file.
        max_pixels: most pixels that the picture may have.
        luma_only: read a JPEG's own luma plane (as a grey picture) and not its colours, unless
            these are to be converted.
        colour: what becomes of an embedded colour profile.

    Raises:
        DecodingError: `invalid_image`, `unsupported_format`, `too_many_pixels`.
    """
    if not data:
        raise DecodingError("invalid_image", "The file is empty: send an image.")
    with DecoderErrors():
        picture = _open(data, max_pixels, luma_only, colour)
    if picture.height * picture.width > max_pixels:
        raise DecodingError("too_many_pixels", f"Send an image of at most {max_pixels} pixels.")
    if min(picture.height, picture.width) < 1:
        raise DecodingError("invalid_image", "The image has no pixels.")
    return picture


def _open(data: memoryview, max_pixels: int, luma_only: bool, colour: Colour) -> Picture:
    if is_jpeg(data):
        return JpegPicture(data, luma_only=luma_only, colours=colour)
    start = bytes(data[:START])
    kind = tiff_kinds.check(data, max_pixels) if starts_like("TIFF", start[:16]) else None
    try:
        return PillowPicture(data, colour, white_is_zero=kind is not None and kind.white_is_zero)
    except UnidentifiedImageError:
        if kind and kind.has_size:
            raise unsupported(f"A TIFF of {kind.description}") from None
        if any(starts_like(name, start[:16]) for name in FORMATS):
            raise
        raise foreign(start) from None
    except OSError as error:
        if str(error).startswith("Unsupported BMP"):
            raise unsupported("A BMP of this kind") from error
        raise
