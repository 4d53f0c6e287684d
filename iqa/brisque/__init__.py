"""BRISQUE: no-reference quality, lower is better (Mittal, Moorthy, Bovik 2012)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import cpu
from iqa.brisque.contrast import local_contrast
from iqa.brisque.features import FEATURES, MINIMUM_SIDE
from iqa.errors import ItemError
from iqa.images import Image, check_image, on_host

if TYPE_CHECKING:
    import torch

__all__ = ["MINIMUM_SIDE", "Scores", "score"]


@dataclass(slots=True)
class Scores:
    """Scores of a batch.

    Attributes:
        values: float64 `[N]`, about 0 (best) to 100 and never clamped, nan where an item failed.
        errors: per item, None where it has a score.
        features: float64 `[N, 36]`, what the regressor saw; None unless asked for.
        maps: per item float32 `[H, W]`, the magnitude of its MSCN coefficients: how much a pixel
            differs from its surroundings, in units of their contrast (0 where all is even, rarely
            above 3); None where the item failed; None unless asked for.
    """

    values: NDArray[np.float64]
    errors: list[ItemError | None]
    features: NDArray[np.float64] | None = None
    maps: list[NDArray[np.float32] | None] | None = None


def score(
    images: Sequence[Image | torch.Tensor],
    *,
    features: bool = False,
    maps: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    memory_limit: int | None = None,
) -> Scores:
    """Score uint8 images `[H, W, C]` (C 1 or 3, RGB) of any mixed sizes, in one call.

    An image with a side below 16 gets an error and the value nan, and so does one on which the
    metric is undefined, such as a flat one. An image has the same bits in any batch and on any
    number of threads.

    Args:
        images: the batch; on a CUDA device also tensors, those that lie on it are not copied.
        features: also return the 36 features.
        maps: also return where the contrast is; made on the CPU whatever the device.
        device: "cpu", or a CUDA device such as "cuda:0".
        threads: CPU threads that the batch may use; None for all that the process may run on.
        memory_limit: bytes that the batch may take on the CUDA device; a larger one is computed in
            parts. An image for which memory does not suffice gets an error.

    Raises:
        ValueError: there is no such device.
    """
    errors = [check_image(image, MINIMUM_SIDE) for image in images]
    sound = [index for index, error in enumerate(errors) if error is None]
    values, rows = np.empty(len(images)), np.empty((len(images), FEATURES))
    if len(sound) < len(images):
        failed = [error is not None for error in errors]
        values[failed], rows[failed] = np.nan, np.nan
    if device == "cpu":
        cpu.fill(images, sound, rows, values, threads)
    elif sound:
        from iqa.brisque import gpu

        rows[sound], values[sound], failures = gpu.features_and_scores(
            [images[index] for index in sound], device, memory_limit
        )
        for index, failure in zip(sound, failures, strict=True):
            errors[index] = failure
    for index in sound:
        if math.isnan(values.item(index)) and errors[index] is None:
            errors[index] = ItemError(
                "score_undefined", "BRISQUE is undefined on an image without contrast."
            )
    local = None
    if maps:
        local = [
            local_contrast(on_host(image)) if error is None else None
            for image, error in zip(images, errors, strict=True)
        ]
    return Scores(values, errors, rows if features else None, local)
