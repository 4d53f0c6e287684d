"""The pictures that load is made of: scenes and distorted copies, generated or from a folder.

The generated set resembles the LIVE database (Sheikh, Sabir, Bovik 2006): 768x512 photographs, each
with copies that JPEG compression, blur and white noise spoil to several degrees. Its photographs
are those that scikit-image ships, continued by reflection up to that size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from skimage import data

Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 768, 512
SEED = 2006
QUALITY = 92  # of every JPEG that compression is not meant to spoil
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")  # in colour, at scikit-image
CROPS = 3  # scenes made of each photograph

# The degrees of each distortion; a scene gets one of each kind, the next scene the next degree.
JPEG_QUALITIES = (70, 40, 20, 8)
BLUR_SIGMAS = (0.7, 1.5, 3.0, 6.0)  # pixels
NOISE_SIGMAS = (4.0, 10.0, 22.0, 45.0)  # grey levels


@dataclass(frozen=True)
class Pair:
    """A picture and a distorted copy of the same size, as files.

    Attributes:
        name: scene and distortion, such as "coffee-0/blur-1.5".
        original: the file with the undistorted picture.
        distorted: the file with the copy, a JPEG.
    """

    name: str
    original: bytes
    distorted: bytes


def picture_set(
    folder: Path | None = None, *, width: int = WIDTH, height: int = HEIGHT
) -> list[Pair]:
    """Every scene with three distorted copies: compressed, blurred and noisy.

    Args:
        folder: its pictures are the scenes; None: scenes are generated, the same ones every time.
        width: of generated scenes, in pixels.
        height: of generated scenes, in pixels.

    Raises:
        FileNotFoundError: the folder holds no picture.
    """
    random = np.random.default_rng(SEED)
    scenes = _files(folder) if folder else _generated(width, height, random)
    return [
        Pair(f"{scene}/{distortion}", file, copy)
        for index, (scene, file) in enumerate(scenes)
        for distortion, copy in _distorted(read_pixels(file), index, random)
    ]


def photograph(width: int, height: int) -> Pair:
    """A photograph of any size and a compressed copy, without the other distortions' cost."""
    scene = _window(getattr(data, PHOTOGRAPHS[0])(), width, height, np.random.default_rng(SEED))
    return Pair("photograph", _jpeg(scene, QUALITY), _jpeg(scene, JPEG_QUALITIES[0]))


def read_pixels(file: bytes) -> Pixels:
    """RGB `[H, W, 3]` of an image file, turned upright as its EXIF data say.

    Raises:
        OSError: it is not an image, or damaged.
    """
    with Image.open(BytesIO(file)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def _files(folder: Path) -> list[tuple[str, bytes]]:
    extensions = Image.registered_extensions()
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in extensions)
    if not paths:
        raise FileNotFoundError(f"no pictures in {folder}")
    return [(path.stem, path.read_bytes()) for path in paths]


def _generated(width: int, height: int, random: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for name in PHOTOGRAPHS:
        photograph = getattr(data, name)()
        for crop in range(CROPS):
            scene = _window(photograph, width, height, random)
            yield f"{name}-{crop}", _jpeg(scene, QUALITY)


def _window(plane: Pixels, width: int, height: int, random: np.random.Generator) -> Pixels:
    """A window of that size somewhere on the picture, which goes on by reflection."""
    missing = [max(height - plane.shape[0], 0), max(width - plane.shape[1], 0), 0]
    plane = np.pad(plane, [(side, side) for side in missing], mode="symmetric")
    top = random.integers(plane.shape[0] - height, endpoint=True)
    left = random.integers(plane.shape[1] - width, endpoint=True)
    return np.ascontiguousarray(plane[top : top + height, left : left + width])


def _distorted(
    pixels: Pixels, index: int, random: np.random.Generator
) -> Iterator[tuple[str, bytes]]:
    quality = JPEG_QUALITIES[index % len(JPEG_QUALITIES)]
    yield f"jpeg-{quality}", _jpeg(pixels, quality)

    sigma = BLUR_SIGMAS[index % len(BLUR_SIGMAS)]
    blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma))
    yield f"blur-{sigma}", _jpeg(np.asarray(blurred), QUALITY)

    sigma = NOISE_SIGMAS[index % len(NOISE_SIGMAS)]
    noisy = pixels + sigma * random.standard_normal(pixels.shape)
    yield f"noise-{sigma}", _jpeg(noisy.clip(0, 255).round().astype(np.uint8), QUALITY)


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    return simplejpeg.encode_jpeg(pixels, quality=quality, colorsubsampling="420")
