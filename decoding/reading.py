"""Decodes pictures to arrays of their own, for callers that score them in their own process."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from decoding.limits import MAX_PIXELS
from decoding.opening import open_picture
from decoding.pictures import BLACK, WHITE, Colour, Picture, Pixels


def read(
    source: str | PathLike[str] | bytes | memoryview,
    *,
    max_pixels: int = MAX_PIXELS,
    colour: Colour = "srgb",
) -> Pixels:
    """The pixels of an image file, uint8 `[H, W, C]`, C 1 (grey) or 3 (RGB).

    As people see it: upright, in sRGB, over white where it is transparent; `decoding.RULES` says
    it all.

    Args:
        source: the path of the file, or its content.
        max_pixels: most pixels that the picture may have.
        colour: `stored` leaves colours as they are, whatever profile the file has.

    Raises:
        DecodingError: it is no picture, damaged, of no format that is read, or too large.
        OSError: there is no such file.
    """
    data = Path(source).read_bytes() if isinstance(source, str | PathLike) else source
    picture = open_picture(memoryview(data), max_pixels=max_pixels, colour=colour)
    ((pixels,),) = versions([picture])
    return pixels


def versions(pictures: Sequence[Picture], *, channels: int | None = None) -> list[list[Pixels]]:
    """The pixels of an item, uint8 `[H, W, C]` for each of its pictures, in every version.

    A single picture has one version, over white. So has a pair without transparency; another one
    has a second version, over black, as what differs in colour may be hidden on either of them.
    All versions are to be scored; the worst score counts.

    Args:
        pictures: one, or a pair that is to be compared.
        channels: 1 or 3; None for those of the picture that has most.

    Raises:
        DecodingError: a file is damaged; no memory.
    """
    channels = channels or max(picture.channels for picture in pictures)
    shapes = [(picture.height, picture.width, channels) for picture in pictures]
    on_white = [np.empty(shape, np.uint8) for shape in shapes]
    shows = [
        picture.decode(pixels, WHITE) for picture, pixels in zip(pictures, on_white, strict=True)
    ]
    if len(pictures) == 1 or not any(shows):
        return [on_white]
    on_black = [np.empty_like(p) if show else p for p, show in zip(on_white, shows, strict=True)]
    for picture, pixels, show in zip(pictures, on_black, shows, strict=True):
        if show:
            picture.decode(pixels, BLACK)
    return [on_white, on_black]
