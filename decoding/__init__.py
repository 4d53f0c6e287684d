"""From an image file to uint8 pixels, as people see the picture in a good viewer."""

from decoding.contract import CONTRACT, RULES
from decoding.errors import DecodingError
from decoding.formats import FORMATS
from decoding.limits import MAX_PIXELS
from decoding.opening import open_picture
from decoding.pictures import Colour, Picture, Pixels
from decoding.reading import read, versions

__all__ = [
    "CONTRACT",
    "FORMATS",
    "MAX_PIXELS",
    "RULES",
    "Colour",
    "DecodingError",
    "Picture",
    "Pixels",
    "open_picture",
    "read",
    "versions",
]
