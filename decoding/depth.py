"""Rounds samples of 12 and 16 bits to 8.

Pillow keeps 16 bits of a grey sample, but of others one byte, the higher one. Told that the bytes
are in the other order it keeps the lower one: both together are the sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from decoding.pictures import Pixels
from decoding.transparency import matte, rawmode

Samples = NDArray[np.uint32]
Rows = Callable[[slice], Samples]
"""The samples `[h, W, C]` of some rows of a picture."""

ROWS = 64  # rounded at once: what that takes in between stays small
OTHER_ORDER = {"B": "L", "L": "B", "N": "B"}  # of a sample's bytes; N is this machine's, little


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the samples of an opened picture have more than 8 bits in its file."""
    return image.mode.startswith("I;16") or ";16" in rawmode(image)


def split(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], *, white_is_zero: bool
) -> tuple[Image.Image, Image.Image | None]:
    """The colours (mode L, RGB or CMYK) and the opacity (L) of a picture of more than 8 bits.

    Args:
        image: opened, and not loaded yet.
        reopen: opens its file again.
        white_is_zero: its grey samples count from white.
    """
    raw, key = rawmode(image), image.info.get("transparency")
    most = (1 << (12 if raw == "I;12" else 16)) - 1
    bands, rows = _rows(image, raw, reopen)
    rounded = np.empty((image.height, image.width, len(bands)), np.uint8)
    alpha = None if key is None else np.empty(rounded.shape[:2], np.uint8)
    for top in range(0, image.height, ROWS):
        part = slice(top, top + ROWS)
        samples = rows(part)
        if white_is_zero:
            samples = most - samples
        if raw.startswith("RGBa"):
            samples = _unassociated(samples)
        rounded[part] = (samples * 255 + most // 2) // most
        if alpha is not None:
            alpha[part] = matte(samples, key)
    if bands[-1] == "A":
        return _picture(rounded[:, :, :-1]), _picture(rounded[:, :, -1:])
    return _picture(rounded), None if alpha is None else Image.fromarray(alpha)


def _rows(
    image: ImageFile.ImageFile, raw: str, reopen: Callable[[], ImageFile.ImageFile]
) -> tuple[tuple[str, ...], Rows]:
    """The names of a picture's channels, and what gives the samples of its rows."""
    if image.mode.startswith("I;16"):
        image.load()
        grey = np.asarray(image)[:, :, None]
        return ("L",), lambda part: grey[part].astype(np.uint32)
    if raw.startswith("LA"):  # four bytes a pixel, as those of RGBA are
        pairs = _loaded(image, "RGBA", "RGBA")
        return ("L", "A"), lambda part: _joined(pairs[part, :, ::2], pairs[part, :, 1::2])
    raw = raw.replace("RGBa", "RGBA")  # else Pillow would divide each byte by the opacity
    high = _loaded(image, image.mode, raw)
    low = _loaded(reopen(), image.mode, raw[:-1] + OTHER_ORDER[raw[-1]])
    return image.getbands(), lambda part: _joined(high[part], low[part])


def _loaded(image: ImageFile.ImageFile, mode: str, raw: str) -> Pixels:
    """The bytes `[H, W, C]` that Pillow keeps if the samples lay so in the file."""
    image._mode = mode
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
        for tile in image.tile
    ]
    image.load()
    return np.asarray(image)


def _joined(high: Pixels, low: Pixels) -> Samples:
    return high.astype(np.uint32) * np.uint32(256) + low


def _unassociated(samples: Samples) -> Samples:
    """RGBA samples whose colours were multiplied with the opacity, as they were before."""
    alpha = samples[:, :, 3:]
    colours = samples[:, :, :3] * np.uint32(0xFFFF) // np.maximum(alpha, 1)
    return np.concatenate([np.minimum(colours, 0xFFFF), alpha], axis=2)


def _picture(pixels: Pixels) -> Image.Image:
    """A picture of the mode that has so many channels: L, RGB or CMYK."""
    height, width, channels = pixels.shape
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    return Image.frombytes(mode, (width, height), pixels.tobytes())
