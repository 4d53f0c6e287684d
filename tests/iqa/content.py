"""Pictures of every kind that a metric may meet, from photographs to none at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage import data

from iqa.images import Image as Pixels

Random = np.random.Generator
# All of these ship inside scikit-image; nothing is downloaded.
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket", "moon", "page", "brick")


def photograph(name: str) -> Pixels:
    """A photograph `[H, W, C]`."""
    pixels = np.asarray(getattr(data, name)())
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[:, :, None])


def _photograph(random: Random, height: int, width: int) -> NDArray[np.float64]:
    pixels = photograph(PHOTOGRAPHS[random.integers(len(PHOTOGRAPHS))]).astype(np.float64)
    top = random.integers(max(1, pixels.shape[0] - height))
    left = random.integers(max(1, pixels.shape[1] - width))
    rows, columns = (top + np.arange(height)) % len(pixels), (left + np.arange(width))
    return pixels[rows][:, columns % pixels.shape[1]]


def _noise(random: Random, height: int, width: int) -> NDArray[np.float64]:
    return random.normal(random.uniform(0, 255), random.uniform(0.5, 80), (height, width, 3))


def _gradient(random: Random, height: int, width: int) -> NDArray[np.float64]:
    down, across = random.uniform(-1.5, 1.5, 2)
    ramp = np.add.outer(down * np.arange(height), across * np.arange(width))
    return random.uniform(0, 255) + ramp[:, :, None]


def _half_flat(random: Random, height: int, width: int) -> NDArray[np.float64]:
    pixels = _photograph(random, height, width)
    pixels[:, : width // 2] = random.integers(0, 256)
    return pixels


def _flat(random: Random, height: int, width: int) -> NDArray[np.float64]:
    return np.full((height, width, 3), float(random.integers(0, 256)))


def _checkerboard(random: Random, height: int, width: int) -> NDArray[np.float64]:
    cell = random.integers(1, 12)
    board = np.add.outer(np.arange(height) // cell, np.arange(width) // cell) % 2
    return random.choice([1, 255]) * board[:, :, None].astype(np.float64)


def _saturated(random: Random, height: int, width: int) -> NDArray[np.float64]:
    return (_photograph(random, height, width) - random.uniform(60, 190)) * 12


def _one_pixel(random: Random, height: int, width: int) -> NDArray[np.float64]:
    pixels = np.full((height, width, 3), float(random.integers(0, 255)))
    pixels[random.integers(height), random.integers(width)] = 255
    return pixels


def _text(random: Random, height: int, width: int) -> NDArray[np.float64]:
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for line in range(0, height, 11):
        letters = random.integers(33, 126, width // 6 + 1).astype(np.uint8)
        draw.text((2, line), letters.tobytes().decode(), fill="black")
    return np.asarray(page).astype(np.float64)


KINDS: dict[str, Callable[[Random, int, int], NDArray[np.float64]]] = {
    "photograph": _photograph,
    "noise": _noise,
    "gradient": _gradient,
    "half flat": _half_flat,
    "flat": _flat,
    "checkerboard": _checkerboard,
    "saturated": _saturated,
    "one bright pixel": _one_pixel,
    "text": _text,
}


def picture(kind: str, height: int, width: int, channels: int, seed: int) -> Pixels:
    """A picture `[height, width, channels]` of one of the `KINDS`, the same for a seed."""
    drawn = KINDS[kind](np.random.default_rng(seed), height, width)
    if channels == 1:
        drawn = drawn[:, :, :1]
    pixels = np.broadcast_to(drawn, (height, width, channels))
    return np.ascontiguousarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
