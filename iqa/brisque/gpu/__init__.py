"""BRISQUE of a ragged batch on a GPU: four launches, and one a scale where fits are tied."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.brisque import regressor
from iqa.brisque.features import (
    FEATURES,
    FLAT,
    MOMENTS,
    SCALES,
    WINDOW,
    features_from_moments,
    fit_tables,
)
from iqa.brisque.gpu.exact import exact_kernel
from iqa.brisque.gpu.layout import ENTRIES, LANES, TILE_HEIGHTS, layout, memory_needed
from iqa.brisque.gpu.scores import scores_kernel
from iqa.brisque.gpu.sums import reduce_kernel
from iqa.brisque.gpu.sweep import sweep_kernel
from iqa.brisque.gpu.window import bend_weights
from iqa.errors import ItemError
from iqa.gpu.device import run_bounded
from iqa.gpu.ragged import Item, send, shapes_of

Array = NDArray[np.float64]

TAPS = tuple(map(float, WINDOW))
BENDS = bend_weights(WINDOW)
# By what share of it the ratio that a fit looks up may be off, see `features.is_tie`. The float32
# ratios of three photographs, interpreted, were within 4e-6 of float64's.
PRECISION = 5e-6
EXACT_PARTS = 64  # of a plane


@cache
def _constants(device: torch.device) -> tuple[torch.Tensor, ...]:
    """Fit tables and regressor on the device, as `scores_kernel` takes them, and the window."""
    model = regressor.load()
    gain = 2 / (model.feature_high - model.feature_low)
    offset = -gain * model.feature_low - 1
    arrays = (fit_tables(), model.vectors.T, model.coefficients, gain, offset, WINDOW)
    return tuple(torch.tensor(np.ascontiguousarray(array), device=device) for array in arrays)


def rows(
    items: Sequence[Item], device: str, memory_limit: int | None = None
) -> tuple[Array, list[ItemError | None]]:
    """Score and the 36 features `[N, 37]` of uint8 images `[H, W, C]`, sides at least 16.

    All are nan for an image on which the metric is undefined. An image has the same bits in any
    batch.

    Args:
        items: one array each, or a tensor that may lie on the device.
        device: a CUDA device (or the CPU, with the interpreter of the Triton language).
        memory_limit: bytes on the device that a batch may take; a larger one is computed in parts.
            None for `iqa.gpu.device.MEMORY_LIMIT`.

    Returns:
        the rows, and per image an error `out_of_memory` or None.
    """
    costs = memory_needed(np.array(shapes_of(items), dtype=np.int64), EXACT_PARTS).tolist()
    return run_bounded(_run, items, costs, 1 + FEATURES, device, memory_limit)


def _run(items: Sequence[Item], device: torch.device) -> Array:
    count = len(items)
    plan = layout(shapes_of(items), LANES)
    (addresses, planes, tile_plane), alive = send(
        [image for (image,) in items], [plan.planes, plan.tile_plane], device
    )
    fits, vectors, coefficients, gain, offset, window = _constants(device)

    def empty(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.empty(size, dtype=dtype, device=device)

    halves = empty(plan.half_pixels, torch.int32)
    edges = empty(plan.edge_length, torch.float32)
    partials = empty(len(tile_plane) * MOMENTS)
    moments = empty(SCALES * count * MOMENTS)
    results = empty(count * (FEATURES + 2))

    for (first, end), tile_height in zip(pairwise(plan.bounds), TILE_HEIGHTS, strict=True):
        sweep_kernel[(end - first,)](
            tile_plane, planes, addresses, first, halves, edges, partials,
            FULL=first == 0, LANES=LANES, ROWS=tile_height, WINDOW=TAPS, BENDS=BENDS,
            ENTRIES=ENTRIES, num_warps=1, maxnreg=168,
        )  # fmt: skip
    reduce_kernel[(SCALES * count,)](
        planes, edges, partials, moments, ENTRIES=ENTRIES, BLOCK=512, num_warps=8
    )
    model = regressor.load()
    scores_kernel[(count,)](
        planes, moments, fits, vectors, coefficients, gain, offset, results, count, PRECISION,
        gamma=model.gamma, rho=model.rho, VECTORS=len(model.coefficients), LENGTH=fits.shape[1],
        ENTRIES=ENTRIES, BLOCK=256, num_warps=8,
    )  # fmt: skip
    found = results.cpu().numpy().reshape(count, FEATURES + 2)
    rows, tied = found[:, :-1], np.flatnonzero(found[:, -1])
    if len(tied):
        sums = _exact_sums(tied, planes, addresses, halves, window)
        for index, moments_of_image in zip(tied, sums, strict=True):
            pixels = plan.planes[index::count, 1:3].prod(axis=1)
            rows[index, 1:] = features_from_moments(moments_of_image, pixels)
        rows[tied, 0] = model.scores(rows[tied, 1:])
    del alive  # the copies have waited for the kernels that read the images
    return rows


def _exact_sums(
    images: NDArray[np.intp],
    planes: torch.Tensor,
    addresses: torch.Tensor,
    halves: torch.Tensor,
    window: torch.Tensor,
) -> Array:
    """The sums `[M, 2, 22]` of M images of the batch in float64."""
    chosen = torch.tensor(images, dtype=torch.int64, device=planes.device)
    sums = []
    for scale in range(SCALES):
        partials = torch.empty(
            (len(images), EXACT_PARTS, MOMENTS), dtype=torch.float64, device=planes.device
        )
        exact_kernel[(len(images), EXACT_PARTS)](
            chosen + scale * len(addresses), planes, addresses, halves, window, partials, FLAT,
            FULL=scale == 0, ENTRIES=ENTRIES, BLOCK=128,
        )  # fmt: skip
        sums.append(partials)
    return torch.stack(sums, dim=1).cpu().numpy().sum(axis=2)
