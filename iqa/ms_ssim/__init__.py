"""MS-SSIM: full-reference quality, 1 is identical (Wang, Simoncelli, Bovik 2003)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.images import Image, check_image, on_host
from iqa.ms_ssim import cpu
from iqa.ms_ssim.pooling import MINIMUM_SIDE, SCALES, combine, pool

if TYPE_CHECKING:
    import torch

__all__ = ["MINIMUM_SIDE", "Scores", "score"]


@dataclass(slots=True)
class Scores:
    """Scores of a batch.

    Attributes:
        values: float64 `[N]`, 0 to 1, nan where an item failed.
        errors: per item, None where it has a score.
        scales: float64 `[N, 5]`, the channel mean of each scale's contrast-structure term (last:
            SSIM); None unless asked for.
        maps: per item float32 `[H - 10, W - 10]`, the local SSIM of the full scale averaged over
            channels (value `[i, j]` is of the window around pixel `[i + 5, j + 5]`), None where the
            item failed; None unless asked for.
    """

    values: NDArray[np.float64]
    errors: list[ItemError | None]
    scales: NDArray[np.float64] | None = None
    maps: list[NDArray[np.float32] | None] | None = None


def score(
    references: Sequence[Image | torch.Tensor],
    distorted: Sequence[Image | torch.Tensor],
    *,
    scales: bool = False,
    maps: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    memory_limit: int | None = None,
) -> Scores:
    """Score pairs of uint8 images `[H, W, C]` (C 1 or 3) of any mixed sizes, in one call.

    A pair whose shapes differ, or with a side below 161, gets an error and the value nan.

    Args:
        references: the originals; on a CUDA device also tensors, those on it are not copied.
        distorted: as many images, each compared with the reference at the same index.
        scales: also return the terms of the five scales.
        maps: also return where the distortion is; made on the CPU whatever the device.
        device: "cpu", or a CUDA device such as "cuda:0".
        threads: of the CPU to use at most (None: all that the process may use); the scores do not
            depend on it.
        memory_limit: bytes that the batch may take on the CUDA device; a larger one is computed in
            parts. A pair for which memory does not suffice gets an error.

    Raises:
        ValueError: there are not as many distorted images as references.
    """
    errors = [_check(x, y) for x, y in zip(references, distorted, strict=True)]
    sound = [index for index, error in enumerate(errors) if error is None]
    originals, copies = [references[i] for i in sound], [distorted[i] for i in sound]
    values = np.full(len(errors), np.nan)
    terms = np.full((len(errors), SCALES), np.nan) if scales else None
    local: list[NDArray[np.float32] | None] = [None] * len(errors)
    if device == "cpu" or maps:
        found = cpu.terms_and_maps(
            list(map(on_host, originals)), list(map(on_host, copies)), threads, maps=maps
        )
        for index, (pair_terms, pair_map) in zip(sound, found, strict=True):
            if terms is None:
                values[index] = combine(pair_terms)
            else:
                values[index], terms[index] = pool(pair_terms)
            local[index] = pair_map
    if device != "cpu" and sound:
        from iqa.ms_ssim import gpu  # needs torch, which an installation without a GPU lacks

        values[sound], means, failures = gpu.scores_and_scales(
            originals, copies, device, memory_limit
        )
        if terms is not None:
            terms[sound] = means
        for index, failure in zip(sound, failures, strict=True):
            errors[index] = failure
    return Scores(values, errors, terms, local if maps else None)


def _check(original: Image | torch.Tensor, copy: Image | torch.Tensor) -> ItemError | None:
    error = check_image(original, MINIMUM_SIDE) or check_image(copy, MINIMUM_SIDE)
    if error is None and original.shape != copy.shape:
        return ItemError(
            "size_mismatch",
            f"reference is {list(original.shape)}, distorted is {list(copy.shape)}.",
        )
    return error
