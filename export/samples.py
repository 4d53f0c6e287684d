"""Draws the page's sample pictures: a landscape made of noise, and a copy that is compressed hard.

python -m export.samples [--output gateway/ui/samples]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parents[1] / "gateway" / "ui" / "samples"
HEIGHT, WIDTH = 320, 480
Plane = NDArray[np.float64]


def fractal(generator: np.random.Generator, power: float) -> Plane:
    """Noise `[HEIGHT, WIDTH]` with an amplitude spectrum of 1 / f^power, scaled to 0 to 1."""
    down, across = np.fft.fftfreq(HEIGHT)[:, None], np.fft.fftfreq(WIDTH)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(generator.standard_normal((HEIGHT, WIDTH))) / frequency**power
    plane: Plane = np.fft.ifft2(spectrum).real
    return (plane - plane.min()) / np.ptp(plane)


def landscape() -> Image.Image:
    """Sky with clouds, three ridges one behind the other, a meadow."""
    generator = np.random.default_rng(20)
    rows = np.linspace(0, 1, HEIGHT)[:, None]
    clouds = np.clip(2.2 * fractal(generator, 1.6) - 0.9, 0, 1)
    sky = np.stack([0.45 + 0.4 * rows, 0.62 + 0.28 * rows, 0.85 + 0.1 * rows], axis=2)
    picture = sky + clouds[:, :, None] * (0.97 - sky)
    colours = ((0.5, 0.56, 0.66), (0.33, 0.42, 0.44), (0.23, 0.34, 0.2), (0.36, 0.45, 0.16))
    for level, colour in enumerate(colours):
        ridge = 0.35 + 0.16 * level + (0.3 - 0.07 * level) * (fractal(generator, 1.9)[0] - 0.5)
        texture = fractal(generator, 0.9 - 0.1 * level) - 0.5
        shade = 1 + (0.35 + 0.35 * level) * texture
        picture = np.where((rows > ridge)[:, :, None], colour * shade[:, :, None], picture)
    return Image.fromarray((255 * np.clip(picture, 0, 1)).round().astype(np.uint8))


def main() -> None:
    """Write `original.jpg` and `distorted.jpg`."""
    parser = argparse.ArgumentParser(prog="python -m export.samples")
    parser.add_argument("--output", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    picture = landscape()
    picture.save(folder / "original.jpg", quality=88)
    picture.save(folder / "distorted.jpg", quality=9)


if __name__ == "__main__":
    main()
