"""What a picture is whose header was read, whatever its format."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = Literal["srgb", "stored"]
"""`srgb`: embedded profiles are converted to sRGB; `stored`: they are ignored."""

WHITE, BLACK = 255, 0


class Picture(Protocol):
    """A picture whose header was read.

    Attributes:
        height, width: in pixels, as the picture is to be seen (after Exif orientation).
        channels: 1 for a grey file, else 3 (RGB).
        is_fast: decodes at about 200 megapixels a second; others take several times as long.
        has_alpha: some of its pixels may be transparent, by its header.
    """

    height: int
    width: int
    channels: int
    is_fast: bool
    has_alpha: bool

    def decode(self, out: Pixels, background: int = WHITE) -> bool:
        """Write the pixels to `out`, contiguous `[height, width, C]`.

        Where C is 1, a picture in colours writes its luma; a grey one fills any C.

        Args:
            out: where to.
            background: the grey, 0 to 255, that is seen through what is transparent.

        Returns:
            whether it is seen: some pixel is not opaque.

        Raises:
            DecodingError: `invalid_image`, the file is truncated or damaged; `out_of_memory`.
        """


def write(pixels: Pixels, out: Pixels) -> None:
    """Write pixels `[H, W, 1 or 3]` to `out`, as luma or repeated where it has other channels."""
    if out.shape[2] < pixels.shape[2]:
        _write_luma(pixels, out)
    else:
        out[...] = pixels


def warm_up() -> None:
    """Compile, or load, what decoding needs, which the first request should not wait for."""
    _write_luma(np.zeros((1, 1, 3), np.uint8), np.empty((1, 1, 1), np.uint8))


def _write_luma(pixels: Pixels, out: Pixels) -> None:
    from iqa.luma import write_luma  # takes long, for a launcher that asks only for limits

    write_luma(pixels, out)
