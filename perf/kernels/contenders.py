"""Who is compared by `perf.kernels`, on which task, and whether ours computes the right thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import blazediff_ssim
import cv2
import numpy as np
import pytorch_msssim
import torch

from iqa import brisque, ms_ssim
from iqa.brisque import reference as brisque_reference
from iqa.brisque import regressor
from iqa.images import Image, luma
from iqa.ms_ssim import reference as ms_ssim_reference
from perf.baselines.piq_offline import piq

# How far from the reference a score of ours may lie.
TOLERANCES = {"brisque": 0.02, "ms_ssim": 1e-5, "ms_ssim luma": 1e-5}


@dataclass(frozen=True)
class Contender:
    """One implementation of one task.

    Attributes:
        task: "brisque", "ms_ssim" (RGB) or "ms_ssim luma".
        name: the package.
        call: computes its result on the benchmark's pixels.
        differs_in: what it computes other than the task; empty for the same thing.
    """

    task: str
    name: str
    call: Callable[[], Any]
    differs_in: str = ""


def _tensor(image: Image) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def _reference_brisque(image: Image) -> float:
    return float(regressor.load().scores(brisque_reference.features(image)[None])[0])


def contenders(original: Image, distorted: Image) -> list[Contender]:
    """All of them, on a pair of RGB pictures `[H, W, 3]`; each is limited to one thread."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    grey, grey_copy = (
        np.ascontiguousarray(luma(image)[:, :, None]) for image in (original, distorted)
    )
    swapped = np.ascontiguousarray(original[:, :, ::-1])
    height, width = original.shape[:2]
    opaque = np.full((height, width, 1), 255, np.uint8)
    rgba, rgba_copy = (
        np.concatenate([image, opaque], axis=2).tobytes() for image in (original, distorted)
    )

    def without_gradients(call: Callable[[], torch.Tensor]) -> Callable[[], float]:
        def score() -> float:
            with torch.inference_mode():
                return float(call())

        return score

    quality: Any = cv2.quality  # the stubs do not know its functions
    return [
        Contender("brisque", "iqa", lambda: brisque.score([original], threads=1).values[0]),
        Contender(
            "brisque", "piq",
            without_gradients(lambda: piq.brisque(_tensor(original), data_range=255)),
            "float32: flat pixels have random signs",
        ),
        Contender(
            "brisque", "OpenCV contrib",
            lambda: quality.QualityBRISQUE_computeFeatures(swapped),
            "features only, own luma and halving",
        ),
        Contender("brisque", "NumPy reference", lambda: _reference_brisque(original), "float64"),
        Contender(
            "ms_ssim", "iqa",
            lambda: ms_ssim.score([original], [distorted], threads=1).values[0],
        ),
        Contender(
            "ms_ssim", "piq",
            without_gradients(
                lambda: piq.multi_scale_ssim(_tensor(original), _tensor(distorted), data_range=255)
            ),
            "float32",
        ),
        Contender(
            "ms_ssim", "pytorch-msssim",
            without_gradients(
                lambda: pytorch_msssim.ms_ssim(
                    _tensor(original), _tensor(distorted), data_range=255
                )
            ),
            "float32, pads odd sides with zeros",
        ),
        Contender(
            "ms_ssim", "NumPy reference",
            lambda: ms_ssim_reference.score(original, distorted), "float64",
        ),
        Contender(
            "ms_ssim luma", "iqa",
            lambda: ms_ssim.score([grey], [grey_copy], threads=1).values[0],
        ),
        Contender(
            "ms_ssim luma", "blazediff-ssim",
            lambda: blazediff_ssim.compare_rgba(rgba, rgba_copy, width, height, metric="ms-ssim"),
            "luma made from RGBA, own borders and halving",
        ),
        Contender(
            "ms_ssim luma", "NumPy reference",
            lambda: ms_ssim_reference.score(grey, grey_copy), "float64",
        ),
    ]  # fmt: skip


def disagreements(items: list[Contender]) -> list[str]:
    """A sentence for each task on which ours is not the score of the float64 reference."""
    scores = {(item.task, item.name): item.call for item in items}
    wrong = []
    for task, tolerance in TOLERANCES.items():
        ours = float(scores[task, "iqa"]())
        expected = float(scores[task, "NumPy reference"]())
        if not np.isclose(ours, expected, rtol=0, atol=tolerance):
            wrong.append(f"{task}: {ours} is not within {tolerance} of {expected}")
    return wrong
