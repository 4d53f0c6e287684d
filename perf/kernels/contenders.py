"""Who is compared by `perf.kernels`, on which task, and whether ours computes the right thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import blazediff_ssim
import cv2
import numpy as np
import pytorch_msssim
import torch

from iqa import ms_ssim
from iqa.catalogue import METRICS
from iqa.images import Image, luma
from iqa.ms_ssim import reference as ms_ssim_reference
from perf.baselines import piq_scores

LUMA = "ms_ssim luma"
OURS, PIQ, REFERENCE = "iqa", "piq", "NumPy reference"


@dataclass(frozen=True)
class Contender:
    """One implementation of one task.

    Attributes:
        task: name of a metric, of RGB pictures, or `LUMA`.
        name: the package.
        call: computes its result on the benchmark's pixels.
        differs_in: what it computes other than the task; empty for the same thing.
    """

    task: str
    name: str
    call: Callable[[], Any]
    differs_in: str = ""


def contenders(original: Image, distorted: Image) -> list[Contender]:
    """All of them, on a pair of RGB pictures `[H, W, 3]`; each is limited to one thread."""
    cv2.setNumThreads(1)
    items = []
    for metric in METRICS:
        images = (original, distorted)[: len(metric.inputs)]
        lists = [[image] for image in images]
        reference = import_module(f"iqa.{metric.name}.reference").score
        items += [
            Contender(metric.name, OURS, partial(_first, metric.score, lists)),
            Contender(metric.name, PIQ, partial(piq_scores.score, metric.name, *images), "float32"),
            Contender(metric.name, REFERENCE, partial(reference, *images), "float64"),
        ]
    return [*items, *_others(original, distorted)]


def _first(score: Callable[..., Any], lists: list[list[Image]]) -> float:
    return float(score(*lists, threads=1).values[0])


def _others(original: Image, distorted: Image) -> list[Contender]:
    """What else the field uses, and a task of one channel."""
    grey, grey_copy = (
        np.ascontiguousarray(luma(image)[:, :, None]) for image in (original, distorted)
    )
    swapped = np.ascontiguousarray(original[:, :, ::-1])
    height, width = original.shape[:2]
    opaque = np.full((height, width, 1), 255, np.uint8)
    rgba, rgba_copy = (
        np.concatenate([image, opaque], axis=2).tobytes() for image in (original, distorted)
    )

    @torch.inference_mode()
    def pytorch_score() -> float:
        tensors = (
            torch.from_numpy(image).permute(2, 0, 1)[None].float()
            for image in (original, distorted)
        )
        return float(pytorch_msssim.ms_ssim(*tensors, data_range=255))

    quality: Any = cv2.quality  # the stubs do not know its functions
    return [
        Contender(
            "brisque", "OpenCV contrib",
            lambda: quality.QualityBRISQUE_computeFeatures(swapped),
            "features only, own luma and halving",
        ),
        Contender(
            "ms_ssim", "pytorch-msssim", pytorch_score, "float32, pads odd sides with zeros"
        ),
        Contender("psnr", "NumPy copy", lambda: (original.copy(), distorted.copy()), "copies both"),
        Contender(LUMA, OURS, partial(_first, ms_ssim.score, [[grey], [grey_copy]])),
        Contender(
            LUMA, "blazediff-ssim",
            lambda: blazediff_ssim.compare_rgba(rgba, rgba_copy, width, height, metric="ms-ssim"),
            "luma made from RGBA, own borders and halving",
        ),
        Contender(
            LUMA, REFERENCE, lambda: ms_ssim_reference.score(grey, grey_copy), "float64"
        ),
    ]  # fmt: skip


def disagreements(items: list[Contender]) -> list[str]:
    """A sentence for each task on which ours is not the score of the float64 reference."""
    tolerances = {metric.name: metric.tolerance for metric in METRICS}
    scores = {(item.task, item.name): item.call for item in items}
    wrong = []
    for task in dict.fromkeys(item.task for item in items):
        ours, expected = float(scores[task, OURS]()), float(scores[task, REFERENCE]())
        tolerance = tolerances[task.partition(" ")[0]]
        if not np.isclose(ours, expected, rtol=0, atol=tolerance):
            wrong.append(f"{task}: {ours} is not within {tolerance} of {expected}")
    return wrong
