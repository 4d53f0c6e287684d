"""A batch of images of different sizes on a GPU: addresses, tiles and one copy for everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.images import Image

Integers = NDArray[np.int64]
Item = tuple[Image | torch.Tensor, ...]
Shapes = tuple[tuple[int, int, int], ...]

# Every part of a buffer starts at a multiple of this, so that any type can be viewed in place.
ALIGNMENT = 16


def shapes_of(items: Sequence[Item]) -> Shapes:
    """Height, width and channels of the images of each item, which have the same shape."""
    return tuple(tuple(image.shape) for image, *_ in items)


def offsets(sizes: Integers) -> tuple[Integers, int]:
    """Where parts of these sizes `[N]` start in one flat buffer, and how long it is."""
    ends = np.cumsum(sizes, dtype=np.int64)
    return ends - sizes, int(ends[-1]) if len(ends) else 0


def tile_table(
    heights: Integers, widths: Integers, tile_heights: int | Integers, tile_width: int
) -> tuple[NDArray[np.int32], Integers, Integers]:
    """Cut planes into tiles, row by row.

    Returns:
        the plane of each tile `[T]`, and each plane's first tile and number of tiles `[P]`.
    """
    counts = -(-heights // tile_heights) * -(-widths // tile_width)
    planes = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return planes, offsets(counts)[0], counts


def send(
    images: Sequence[Image | torch.Tensor],
    tables: Sequence[NDArray[Any]],
    device: torch.device,
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Send a batch to the device in one copy; images that are there already stay where they are.

    The staging buffer is pinned and comes from torch's cache of such memory, which keeps it from
    being used again until the copy on this stream has read it.

    Args:
        images: N uint8 arrays, or tensors that may lie on the device.
        tables: what else to send, any shape and type.
        device: where to.

    Returns:
        on the device the addresses of the images' first bytes, int64 `[N]`, and the tables, flat;
        and what must live as long as the addresses are used.
    """
    resident = [_resident(image, device) for image in images]
    waiting = [
        (index, np.asarray(image))
        for index, (image, tensor) in enumerate(zip(images, resident, strict=True))
        if tensor is None
    ]
    addresses = np.array([0 if tensor is None else tensor.data_ptr() for tensor in resident])
    parts = [addresses, *tables]
    sizes = [part.nbytes for part in (*parts, *(image for _, image in waiting))]
    starts, total = offsets(-(-np.array(sizes, dtype=np.int64) // ALIGNMENT) * ALIGNMENT)

    target = torch.empty(total, dtype=torch.uint8, device=device)
    staging = torch.empty(total, dtype=torch.uint8, pin_memory=device.type == "cuda")
    host = staging.numpy()
    for start, (index, image) in zip(starts[len(parts) :], waiting, strict=True):
        addresses[index] = target.data_ptr() + start
        host[start : start + image.nbytes].reshape(image.shape)[...] = image
    for start, part in zip(starts, parts, strict=False):
        view = host[start : start + part.nbytes].view(part.dtype)
        view.reshape(part.shape)[...] = part
    target.copy_(staging, non_blocking=True)

    sent = [
        target[start : start + part.nbytes].view(getattr(torch, part.dtype.name))
        for start, part in zip(starts, parts, strict=False)
    ]
    return sent, [target, *(tensor for tensor in resident if tensor is not None)]


def _resident(image: Image | torch.Tensor, device: torch.device) -> torch.Tensor | None:
    """The image if it lies on the device; one on another GPU is copied straight to it."""
    if not isinstance(image, torch.Tensor):
        return None
    place = image.device
    if place.type != device.type:
        return None
    if place != device:
        image = image.to(device)
    return image if image.is_contiguous() else image.contiguous()
