"""What the pixels of a file are, in words, with a version that counts every change of them."""

from __future__ import annotations

CONTRACT = "2"

RULES = {
    "animation": "the first frame, on its canvas",
    "orientation": "upright, as the Exif data (HEIC: the container) say",
    "colour": "embedded ICC profiles other than sRGB are converted to sRGB, perceptual intent",
    "transparency": "composited over white; a pair also over black, and the worse score counts",
    "depth": "samples of 12 and 16 bits are rounded to 8",
    "damage": "a file that does not decode without loss is refused, but for a JPEG that lacks "
    "nothing but its end marker",
}
