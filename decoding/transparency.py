"""What shows through a picture: its opacity, and the picture over a background."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from decoding.pictures import Pixels

OPAQUE = 255
WITH_ALPHA = {"LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"}
PLAIN = {"1": "L", "P": "RGB", "YCbCr": "RGB", "RGBX": "RGB"}


def is_possible(image: ImageFile.ImageFile) -> bool:
    """Whether the header of an opened picture says that pixels may be transparent."""
    return image.mode in WITH_ALPHA or "transparency" in image.info or _extent(image) is not None


def split(file: ImageFile.ImageFile) -> tuple[Image.Image, Image.Image | None]:
    """The colours (mode L, RGB or CMYK) and the opacity (L) of a picture of 8 bits a sample.

    Args:
        file: opened, and not loaded yet.
    """
    extent, grey_step = _extent(file), _grey_step(file)
    file.load()
    image: Image.Image = file
    key = image.info.get("transparency")
    if image.mode in WITH_ALPHA or (image.mode == "P" and key is not None):
        image = image.convert(WITH_ALPHA.get(image.mode, "RGBA"))
        colours, alpha = image.convert(image.mode[:-1]), image.getchannel("A")
    else:
        colours = image.convert(PLAIN[image.mode]) if image.mode in PLAIN else image
        alpha = None
        if key is not None:
            alpha = Image.fromarray(matte(np.asarray(colours), np.multiply(key, grey_step)))
    if extent is not None:
        canvas = Image.new("L", image.size)
        canvas.paste(alpha.crop(extent) if alpha else OPAQUE, extent)
        alpha = canvas
    return colours, alpha


def matte(samples: NDArray[Any], key: Any) -> Pixels:
    """The opacity `[H, W]` of a picture `[H, W]` or `[H, W, C]` with one transparent colour."""
    matches = samples == np.asarray(key)
    if samples.ndim == 3:
        matches = matches.all(axis=2)
    return np.where(matches, 0, OPAQUE).astype(np.uint8)


def is_opaque(alpha: Image.Image | None) -> bool:
    """Whether nothing shows through."""
    return alpha is None or alpha.getextrema() == (OPAQUE, OPAQUE)


def over(colours: Image.Image, alpha: Image.Image, background: int) -> Image.Image:
    """A picture of mode L or RGB over a grey of 0 to 255."""
    grey = background if colours.mode == "L" else (background,) * 3
    canvas = Image.new(colours.mode, colours.size, grey)
    canvas.paste(colours, mask=alpha)
    return canvas


def rawmode(image: ImageFile.ImageFile) -> str:
    """How an opened picture's samples lie in its file, in Pillow's words."""
    args = image.tile[0].args if image.tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args or "")


def _extent(image: ImageFile.ImageFile) -> tuple[int, int, int, int] | None:
    """Where the first frame of a GIF lies if it leaves some of its canvas free."""
    if image.format != "GIF":
        return None
    extent = image.tile[0].extents
    return None if extent == (0, 0, *image.size) else extent


def _grey_step(image: ImageFile.ImageFile) -> int:
    """What a step of a sample in the file is in 8 bits: PNG's transparent grey is not scaled."""
    return {"1": 255, "L;2": 85, "L;4": 17}.get(rawmode(image), 1)
