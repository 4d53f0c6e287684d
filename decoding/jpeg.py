"""JPEGs, by libjpeg-turbo, straight into their destination."""

from __future__ import annotations

import numpy as np
import simplejpeg
from PIL import Image

from decoding import colour
from decoding.errors import DecoderErrors
from decoding.jpeg_header import ICC, read_header
from decoding.orientation import TURNS, UPRIGHT, upright_size
from decoding.pictures import WHITE, Colour, Pixels, write
from decoding.pillow import PillowPicture

SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}  # that libjpeg-turbo decodes to, by components
MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
END = b"\xff\xd9"
CUT_OFF = "Premature end of JPEG file"
BROKEN_PROFILE = "bad ICC marker"
UNKNOWN_SAMPLING = "Could not determine subsampling level"


def is_jpeg(data: memoryview) -> bool:
    """Whether the file starts as a JPEG does."""
    return bytes(data[:3]) == b"\xff\xd8\xff"


class JpegPicture:
    """A JPEG; see `Picture`. A file of which libjpeg-turbo says that it is damaged is refused.

    What libjpeg-turbo's interface has no name for, samplings such as 3x1, Pillow reads: it refuses
    a file that is cut off, and keeps quiet about other damage.
    """

    has_alpha = False

    def __init__(self, data: memoryview, *, luma_only: bool, colours: Colour) -> None:
        header = read_header(data)
        self._data = data
        self._space = SPACES[header.components]
        self._conversion = (
            colour.conversion(header.profile, MODES[self._space]) if colours == "srgb" else None
        )
        if luma_only and self._space == "RGB" and self._conversion is None:
            self._space = "GRAY"
        self._orientation = header.orientation
        self._colours = colours
        self.channels = 1 if self._space == "GRAY" else 3
        self.is_fast = not (header.is_progressive or self._conversion or self._space == "CMYK")
        self.height, self.width = upright_size(header.height, header.width, header.orientation)

    def decode(self, out: Pixels, background: int = WHITE) -> bool:
        """Write the pixels; see `Picture`."""
        as_stored = self._space != "CMYK" and self._conversion is None
        direct = as_stored and self._orientation == UPRIGHT and out.shape[2] == self.channels
        with DecoderErrors():
            try:
                pixels = self._decoded(out if direct else None)
            except ValueError as error:
                if UNKNOWN_SAMPLING not in str(error):
                    raise
                return PillowPicture(self._data, self._colours).decode(out, background)
            if not direct:
                write(TURNS[self._orientation](self._converted(pixels)), out)
        return False

    def _decoded(self, buffer: Pixels | None) -> Pixels:
        """The pixels `[H, W, C]` as they are stored.

        Raises:
            ValueError: libjpeg-turbo complains about the file. That it lacks its end is no
                complaint if nothing else is lacking, which shows once the end is there.
        """
        try:
            return simplejpeg.decode_jpeg(self._data, self._space, buffer=buffer)
        except ValueError as error:
            if CUT_OFF in str(error):
                mended = b"".join((self._data, END))
            elif BROKEN_PROFILE in str(error):  # which says nothing on the pixels
                mended = bytes(self._data).replace(ICC, bytes(len(ICC)))
            else:
                raise
        return simplejpeg.decode_jpeg(mended, self._space, buffer=buffer)

    def _converted(self, pixels: Pixels) -> Pixels:
        """The same in grey or RGB, and in sRGB where the picture has another profile."""
        if self._space == "CMYK":
            inks = Image.fromarray(255 - pixels, "CMYK")  # Adobe's files have them inverted
            convert = self._conversion or (lambda image: image.convert("RGB"))
            return np.asarray(convert(inks))
        if self._conversion is not None:
            colour.convert_rows(pixels, self._conversion)
        return pixels
