"""BRISQUE of a ragged batch on a GPU: at most five launches, whatever the number of images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.brisque import regressor
from iqa.brisque.features import FEATURES, MOMENTS, SCALES, WINDOW, fit_tables
from iqa.brisque.gpu import halving as gpu_halving
from iqa.brisque.gpu import kernels as gpu_kernels
from iqa.brisque.gpu import scores as gpu_scores
from iqa.errors import ItemError
from iqa.gpu.device import run_bounded
from iqa.gpu.ragged import offsets, send, tile_table
from iqa.images import Image

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

LANES = 32
TILE_WIDTH = LANES * gpu_kernels.COLUMNS_PER_LANE
# Of both scales: tall enough that the 7 rows run up before the first result weigh little, short
# enough that one picture of 768x512 occupies 48 of the GPU's warps and then 24.
TILE_HEIGHTS = (64, 32)
TAPS = tuple(map(float, WINDOW))
BENDS = gpu_kernels.bend_weights(WINDOW)


@cache
def _constants(device: torch.device) -> tuple[torch.Tensor, ...]:
    """Fit tables and regressor on the device, as `gpu_scores.scores_kernel` takes them."""
    model = regressor.load()
    gain = 2 / (model.feature_high - model.feature_low)
    offset = -gain * model.feature_low - 1
    arrays = (
        fit_tables(),
        model.vectors.T,
        model.coefficients,
        gain,
        offset,
    )
    return tuple(torch.tensor(np.ascontiguousarray(array), device=device) for array in arrays)


def memory_needed(shapes: Integers) -> Integers:
    """Bytes of device memory for images of these shapes `[N, 3]`, their pixels included."""
    height, width, channels = shapes.T
    tiles = 2 * -(-height // TILE_HEIGHTS[0]) * -(-width // TILE_WIDTH)
    weights = gpu_halving.TAPS * (height + width) // 2
    return (
        channels * height * width
        + 4 * (height * width // 4)
        + 8 * (weights + tiles * MOMENTS + 128)
        + (4 * 3 * (height + width))
    )


def rows(
    items: Sequence[tuple[Image | torch.Tensor, ...]], device: str, limit: int | None = None
) -> tuple[Array, list[ItemError | None]]:
    """Score and the 36 features `[N, 37]` of uint8 images `[H, W, C]`, sides at least 16.

    All are nan for an image on which the metric is undefined. An image has the same bits in any
    batch.

    Args:
        items: one array each, or a tensor that may lie on the device.
        device: a CUDA device (or the CPU, with the interpreter of the Triton language).
        limit: bytes of device memory that a batch may take; a larger one is computed in parts.
            None for `device.MEMORY_LIMIT`.

    Returns:
        the rows, and per image an error `out_of_memory` or None.
    """
    images = [image for (image,) in items]
    shapes = np.array([image.shape for image in images], dtype=np.int64)

    def run(chunk: range, place: torch.device) -> Array:
        part = slice(chunk.start, chunk.stop)
        return _run(images[part], shapes[part], place)

    costs = memory_needed(shapes).tolist()
    found, errors = run_bounded(run, costs, FEATURES + 1, device, limit)
    return np.roll(found, 1, axis=1), errors


def _plane_table(shapes: Integers) -> tuple[Integers, NDArray[np.int32], Integers]:
    """Tables of images of `shapes` `[N, 3]`, see `gpu_kernels`; sources are left at 0.

    Returns:
        planes `[2 N, ENTRIES]`, tile_plane `[T]`, and axes `[2 N, 2]` for the resize weights.
    """
    count = len(shapes)
    planes = np.zeros((SCALES * count, gpu_kernels.ENTRIES), dtype=np.int64)
    full, half = planes[:count], planes[count:]
    full[:, 1:4] = shapes
    half[:, 1:3] = shapes[:, :2] // 2
    half[:, 3] = 1
    tile_heights = np.repeat(TILE_HEIGHTS, count)
    tile_plane, planes[:, 4], planes[:, 5] = tile_table(
        planes[:, 1], planes[:, 2], tile_heights, TILE_WIDTH
    )
    planes[:, 6] = offsets(2 * (planes[:, 1] + planes[:, 2]))[0]
    half[:, 0] = full[:, 7] = offsets(half[:, 1] * half[:, 2])[0]
    axes = np.stack([shapes[:, :2].ravel(), np.zeros(2 * count, dtype=np.int64)], axis=1)
    axes[:, 1] = offsets(axes[:, 0] // 2 * gpu_halving.TAPS)[0]
    full[:, 8:10] = axes[:, 1].reshape(count, 2)
    return planes, tile_plane, axes


def _run(images: Sequence[Image | torch.Tensor], shapes: Integers, device: torch.device) -> Array:
    count = len(images)
    planes, tile_plane, axes = _plane_table(shapes)
    tables: list[NDArray[Any]] = [planes, tile_plane, axes]
    (planes_there, tile_plane_there, axes_there), alive = send(
        images, planes[:count, 0], tables, device
    )
    fits, vectors, coefficients, gain, offset = _constants(device)

    def empty(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.empty(size, dtype=dtype, device=device)

    half_heights, half_widths = planes[count:, 1], planes[count:, 2]
    weights = empty(int((half_heights + half_widths).sum()) * gpu_halving.TAPS)
    halves = empty(int((half_heights * half_widths).sum()), torch.int32)
    edges = empty(int(2 * (planes[:, 1] + planes[:, 2]).sum()), torch.float32)
    partials = empty(len(tile_plane) * MOMENTS)
    moments = empty(len(planes) * MOMENTS)
    results = empty(count * (FEATURES + 1))

    if (axes[:, 0] % 2).any():  # where both sides of a picture are even, the weights are constants
        block = 128
        blocks = -(-int(max(half_heights.max(), half_widths.max())) // block)
        gpu_halving.weights_kernel[(len(axes), blocks)](
            axes_there, weights, TAPS=gpu_halving.TAPS, BLOCK=block
        )
    second_scale = int(planes[count, 4])
    scales = ((0, second_scale), (second_scale, len(tile_plane)))
    for (first, end), tile_height in zip(scales, TILE_HEIGHTS, strict=True):
        gpu_kernels.moments_kernel[(end - first,)](
            tile_plane_there, planes_there, first, weights, halves, edges, partials,
            FULL=first == 0, LANES=LANES, ROWS=tile_height, WINDOW=TAPS, BENDS=BENDS,
            ENTRIES=gpu_kernels.ENTRIES, num_warps=1, maxnreg=168,
        )  # fmt: skip
    gpu_scores.reduce_kernel[(len(planes),)](
        planes_there, edges, partials, moments,
        ENTRIES=gpu_kernels.ENTRIES, BLOCK=512, num_warps=8,
    )  # fmt: skip
    model = regressor.load()
    gpu_scores.scores_kernel[(count,)](
        planes_there, moments, fits, vectors, coefficients, gain, offset, results, count,
        gamma=model.gamma, rho=model.rho, VECTORS=len(model.coefficients), LENGTH=fits.shape[1],
        ENTRIES=gpu_kernels.ENTRIES, BLOCK=256, num_warps=8,
    )  # fmt: skip
    rows = results.cpu().numpy().reshape(count, FEATURES + 1)
    del alive  # the copy has waited for the kernels that read the images
    return rows
