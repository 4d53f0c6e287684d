"""What every metric accepts as an image: uint8, `[H, W, C]`, C 1 (grey) or 3 (RGB)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iqa.errors import ItemError

if TYPE_CHECKING:
    import torch

Image = NDArray[np.uint8]

LUMA_WEIGHTS = (19595, 38470, 7471)  # of red, green and blue, in 65536ths (BT.601)


def check_batch(
    images: Sequence[Sequence[Image | torch.Tensor]], inputs: Sequence[str], threads: int | None
) -> None:
    """Refuse what is no batch at all; what is wrong with one image of it is said by `check_image`.

    Args:
        images: a list of images for each input.
        inputs: the inputs' names.
        threads: that the batch may use.

    Raises:
        TypeError: an image is neither an array nor a tensor, or threads are no whole number.
        ValueError: anything else.
    """
    if len(images) != len(inputs):
        raise ValueError(f"expected {len(inputs)} lists of images, got {len(images)}")
    for name, batch in zip(inputs, images, strict=True):
        if hasattr(batch, "shape"):
            raise ValueError(f"{name.lower()}: expected a list of images, got one array")
        if isinstance(batch, str | bytes) or not isinstance(batch, Sequence):
            raise TypeError(f"{name.lower()}: expected a list of images, got {_type_of(batch)}")
        for image in batch:
            if not isinstance(image, np.ndarray) and not _is_tensor(image):
                raise TypeError(
                    f"{name.lower()}: expected uint8 arrays [H, W, C], got {_type_of(image)}; "
                    "iqa.read opens a file, numpy.asarray converts a PIL image"
                )
    if len(set(map(len, images))) > 1:
        raise ValueError(f"lists of {' and '.join(str(len(batch)) for batch in images)} images")
    if threads is not None and not hasattr(threads, "__index__"):
        raise TypeError(f"threads must be a whole number, not {threads!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")


def _is_tensor(image: object) -> bool:
    return type(image).__module__.partition(".")[0] == "torch" and hasattr(image, "data_ptr")


def _type_of(value: object) -> str:
    return "None" if value is None else f"{type(value).__module__}.{type(value).__name__}"


def check_image(image: Image | torch.Tensor, minimum_side: int) -> ItemError | None:
    """Say why `image` cannot be scored by a metric that needs sides of `minimum_side` pixels."""
    shape = image.shape
    if not _is_uint8(image.dtype) or len(shape) != 3 or shape[2] not in (1, 3):
        return ItemError(
            "invalid_image",
            f"expected uint8 [H, W, C] with C 1 or 3, got {image.dtype} {list(shape)}.",
        )
    height, width, _ = shape
    if height < minimum_side or width < minimum_side:
        return ItemError(
            "image_too_small", f"both sides must be at least {minimum_side}, got {width}x{height}."
        )
    return None


@cache  # a batch asks 64 times
def _is_uint8(dtype: np.dtype[Any] | torch.dtype) -> bool:
    return str(dtype).removeprefix("torch.") == "uint8"


def on_host(image: Image | torch.Tensor) -> Image:
    """The image as an array; one that lies on a GPU is copied from there."""
    return image if isinstance(image, np.ndarray) else image.cpu().numpy()


def row_major(image: Image) -> Image:
    """The bytes of `image` in one row, read-only; a copy where it is laid out otherwise.

    CPU kernels are compiled for each type of array, and this makes it one type.
    """
    pixels = np.ascontiguousarray(image).reshape(-1)
    pixels.setflags(write=False)
    return pixels


def luma(image: Image) -> Image:
    """Grey `[H, W]` of an image, bit for bit as Pillow's `convert("L")` computes it (BT.601)."""
    if image.shape[2] == 1:
        return image[:, :, 0]
    red, green, blue = np.moveaxis(image.astype(np.uint32), 2, 0)
    of_red, of_green, of_blue = LUMA_WEIGHTS
    return ((of_red * red + of_green * green + of_blue * blue + 32768) >> 16).astype(np.uint8)
