"""Turns a picture upright (Exif 2.32, 4.6.4)."""

from __future__ import annotations

from collections.abc import Callable

from decoding.pictures import Pixels

TAG, UPRIGHT = 0x0112, 1

# What each orientation asks for, as views of `[H, W, C]`.
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    UPRIGHT: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels.transpose(1, 0, 2)[:, ::-1],
    7: lambda pixels: pixels.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda pixels: pixels.transpose(1, 0, 2)[::-1],
}


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Height and width of the picture once it is turned."""
    return (width, height) if orientation >= 5 else (height, width)
