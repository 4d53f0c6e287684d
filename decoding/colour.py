"""Converts pictures with an embedded ICC profile to sRGB."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from itertools import product

import numpy as np
from PIL import Image, ImageCms

from decoding.pictures import Pixels

MOST_BYTES = 4 << 20  # of a profile; those of printers have 2 MB
CACHED = 16  # profiles whose transforms are kept; one for a printer takes some megabytes
ROWS = 64  # of an array, converted at once: what they take stays in the processor's cache

# A profile that moves no colour by more than this is sRGB: its makers round differently.
ROUNDING = 1

SRGB = ImageCms.createProfile("sRGB")
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of pictures, by colour space of profiles

Conversion = Callable[[Image.Image], Image.Image]
"""From a picture of the mode that it was made for to one of mode RGB, or of L where it was L."""


def conversion(profile: bytes | None, mode: str) -> Conversion | None:
    """What turns a picture of that mode (L, RGB or CMYK) and profile into sRGB.

    Returns:
        None where there is nothing to convert: the profile is missing, sRGB, broken, larger than
        `MOST_BYTES`, or of another colour space than the picture, all of which viewers ignore.
    """
    if not profile or len(profile) > MOST_BYTES:
        return None
    try:
        return _conversion(bytes(profile), mode)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def convert_rows(pixels: Pixels, convert: Conversion) -> None:
    """Convert grey or RGB pixels `[H, W, C]` in place."""
    for top in range(0, len(pixels), ROWS):
        rows = (
            pixels[top : top + ROWS].squeeze(axis=2)
            if pixels.shape[2] == 1
            else pixels[top : top + ROWS]
        )
        rows[...] = np.asarray(convert(Image.fromarray(rows)))


@lru_cache(CACHED)
def _conversion(profile: bytes, mode: str) -> Conversion | None:
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    profile_mode = MODES.get(source.profile.xcolor_space.strip())
    if profile_mode is None or (mode != profile_mode and (mode, profile_mode) != ("L", "RGB")):
        return None
    transform = ImageCms.buildTransform(source, SRGB, profile_mode, "RGB")

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # it is not converted in place
        return converted

    if mode == "L":  # stays grey: a neutral colour is one in any profile
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        table = convert(ramp.convert(profile_mode)).convert("L")
        return None if _is_same(ramp, table) else lambda image: image.point(list(table.tobytes()))
    if mode == "RGB":
        grid = np.array(list(product(range(0, 256, 15), repeat=3)), np.uint8)[None]
        samples = Image.fromarray(grid)
        if _is_same(samples, convert(samples)):
            return None
    return convert


def _is_same(before: Image.Image, after: Image.Image) -> bool:
    difference = np.asarray(before).astype(int) - np.asarray(after)
    return bool(np.abs(difference).max() <= ROUNDING)
