"""Pictures of any accepted format, by Pillow."""

from __future__ import annotations

import warnings

import numpy as np
import pi_heif
from PIL import Image, ImageFile, WebPImagePlugin

from decoding import colour, depth, png, transparency
from decoding.errors import DecoderErrors
from decoding.formats import FORMATS, unsupported
from decoding.limits import LimitedFile
from decoding.orientation import TAG, TURNS, UPRIGHT, upright_size
from decoding.pictures import WHITE, Colour, Pixels, write

GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})
TURNED = ("TIFF", "HEIF")  # by Pillow and libheif, which report the size that it will have

warnings.filterwarnings("ignore", module="PIL")  # of odd metadata, which says nothing on pixels
pi_heif.register_heif_opener(
    thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
)
Image.init()
Image.MAX_IMAGE_PIXELS = None  # `open_picture` applies the service's own limit


class PillowPicture:
    """A picture of any accepted format; see `Picture`. Of an animation its first frame."""

    is_fast = False

    def __init__(self, data: memoryview, colours: Colour, *, white_is_zero: bool = False) -> None:
        self._data = data
        self._colours = colours
        self._white_is_zero = white_is_zero
        self._image = self._open()
        mode = self._image.mode
        if mode not in GREY_MODES | COLOUR_MODES:
            raise unsupported(f"A {self._image.format} with pixels of Pillow's mode {mode}")
        self._orientation = _orientation(self._image, data)
        is_grey = mode in GREY_MODES or transparency.rawmode(self._image).startswith("LA")
        self.channels = 1 if is_grey else 3
        self.has_alpha = transparency.is_possible(self._image)
        width, height = self._image.size
        self.height, self.width = upright_size(height, width, self._orientation)
        self._layers: tuple[Image.Image, Image.Image | None] | None = None

    def decode(self, out: Pixels, background: int = WHITE) -> bool:
        """Write the pixels; see `Picture`."""
        with DecoderErrors():
            colours, alpha = self._layers = self._layers or self._decoded()
            if alpha is not None:
                colours = transparency.over(colours, alpha, background)
            pixels = np.asarray(colours)
            pixels = pixels.reshape(*pixels.shape[:2], -1)
            write(TURNS[self._orientation](pixels), out)
        return alpha is not None

    def _decoded(self) -> tuple[Image.Image, Image.Image | None]:
        """The picture in grey or RGB, and its opacity; None where all of it is opaque."""
        with self._image as image:
            profile = image.info.get("icc_profile")
            if depth.is_deep(image):
                colours, alpha = depth.split(image, self._open, white_is_zero=self._white_is_zero)
            else:
                colours, alpha = transparency.split(image)
        if self._colours == "srgb" and (convert := colour.conversion(profile, colours.mode)):
            colours = convert(colours)
        if colours.mode == "CMYK":
            colours = colours.convert("RGB")
        return colours, None if transparency.is_opaque(alpha) else alpha

    def _open(self) -> ImageFile.ImageFile:
        image = Image.open(LimitedFile(self._data), formats=FORMATS)
        if isinstance(image, WebPImagePlugin.WebPImageFile) and _is_animated_webp(self._data):
            # Pillow drops the alpha of frames that are opaque, and with it what they leave free.
            image._mode = image.rawmode = "RGBA"
        return image


def _is_animated_webp(data: memoryview) -> bool:
    """Whether frames lie on a canvas (RFC 9649, 2.7)."""
    return bytes(data[12:16]) == b"VP8X" and bool(data[20] & 2)


def _orientation(image: ImageFile.ImageFile, data: memoryview) -> int:
    """Orientation, 1 to 8, in which an opened picture will be once it is loaded."""
    if image.format in TURNED:
        return UPRIGHT
    if image.format == "PNG" and "exif" not in image.info and (late := png.exif(data)):
        image.info["exif"] = late
    try:  # not a PNG's own method, which decodes all pixels to see what comes after them
        value = Image.Image.getexif(image).get(TAG, UPRIGHT)
    except Exception:  # damaged Exif data say nothing about the picture
        return UPRIGHT
    return value if value in TURNS else UPRIGHT
