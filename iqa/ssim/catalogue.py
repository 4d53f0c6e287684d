"""What there is to know about SSIM."""

from __future__ import annotations

import math

from iqa.metric import Baseline, Map, Metric
from iqa.ms_ssim.cpu.local import local_ssim
from iqa.ssim import cpu
from iqa.ssim.reference import MINIMUM_SIDE

SSIM = Metric(
    name="ssim",
    title="SSIM",
    path="/fr/ssim",
    fields=("original_image", "distorted_image"),
    inputs=("REFERENCE", "DISTORTED"),
    minimum_side=MINIMUM_SIDE,
    direction="higher is better",
    usual_range=(0, 1),
    words=(
        (0.7, "Strong differences"),
        (0.88, "Visible differences"),
        (0.95, "Small differences"),
        (0.995, "Differences that are hard to see"),
        (math.inf, "Identical, or nearly so"),
    ),
    digits=4,
    colour="per RGB channel, averaged over channels",
    summary="Similarity of a distorted picture to its original at full size; 1 is identical.",
    example=0.9127,
    tolerance=1e-6,
    baseline=Baseline("ssim", {"downsample": False}),
    cpu=cpu.rows,
    if_too_small="PSNR takes smaller pictures.",
    map=Map(
        local_ssim,
        "the local SSIM, of windows of 11x11 pixels that lie inside",
        dark=1,
        bright=0,
        words=("alike", "different"),
    ),
)
