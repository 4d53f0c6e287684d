"""MS-SSIM: full-reference quality, 1 is identical (Wang, Simoncelli, Bovik 2003)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.images import Image, check_image
from iqa.ms_ssim import reference
from iqa.ms_ssim.pooling import MINIMUM_SIDE, SCALES, pool

if TYPE_CHECKING:
    import torch

__all__ = ["MINIMUM_SIDE", "Scores", "score"]


@dataclass(frozen=True)
class Scores:
    """Scores of a batch.

    Attributes:
        values: float64 `[N]`, 0 to 1, nan where an item failed.
        errors: per item, None where it has a score.
        scales: float64 `[N, 5]`, the channel mean of each scale's contrast-structure term (last:
            SSIM); None unless asked for.
    """

    values: NDArray[np.float64]
    errors: list[ItemError | None]
    scales: NDArray[np.float64] | None = None


def score(
    references: Sequence[Image | torch.Tensor],
    distorted: Sequence[Image | torch.Tensor],
    *,
    scales: bool = False,
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
        device: "cpu", or a CUDA device such as "cuda:0".
        memory_limit: bytes that the batch may take on the CUDA device; a larger one is computed in
            parts. A pair for which memory does not suffice gets an error.

    Raises:
        ValueError: there are not as many distorted images as references.
    """
    values = np.full(len(references), np.nan)
    terms = np.full((len(references), SCALES), np.nan)
    errors: list[ItemError | None] = []
    for original, copy in zip(references, distorted, strict=True):
        error = check_image(original, MINIMUM_SIDE) or check_image(copy, MINIMUM_SIDE)
        if error is None and original.shape != copy.shape:
            error = ItemError(
                "size_mismatch",
                f"reference is {list(original.shape)}, distorted is {list(copy.shape)}",
            )
        errors.append(error)
    sound = [index for index, error in enumerate(errors) if error is None]
    if device == "cpu":
        for index in sound:
            pair = np.asarray(references[index]), np.asarray(distorted[index])
            values[index], terms[index] = pool(reference.terms(*pair))
    elif sound:
        from iqa.ms_ssim import gpu

        values[sound], terms[sound], failures = gpu.scores_and_scales(
            [references[index] for index in sound],
            [distorted[index] for index in sound],
            device,
            memory_limit,
        )
        for index, failure in zip(sound, failures, strict=True):
            errors[index] = failure
    return Scores(values, errors, terms if scales else None)
