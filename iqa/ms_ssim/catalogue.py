"""What there is to know about MS-SSIM."""

from __future__ import annotations

import math

from iqa.metric import Baseline, Details, Map, Metric
from iqa.ms_ssim import cpu
from iqa.ms_ssim.cpu.local import local_ssim
from iqa.ms_ssim.pooling import MINIMUM_SIDE, SCALES

MS_SSIM = Metric(
    name="ms_ssim",
    title="MS-SSIM",
    path="/fr/ms-ssim",
    fields=("original_image", "distorted_image"),
    inputs=("REFERENCE", "DISTORTED"),
    minimum_side=MINIMUM_SIDE,
    direction="higher is better",
    usual_range=(0, 1),
    words=(
        (0.85, "Strong differences"),
        (0.95, "Visible differences"),
        (0.98, "Small differences"),
        (0.9995, "Differences that are hard to see"),
        (math.inf, "Identical, or nearly so"),
    ),
    digits=4,
    colour="per RGB channel, averaged over channels",
    summary="Similarity of a distorted picture to its original; 1 is identical.",
    example=0.8624,
    tolerance=1e-5,
    baseline=Baseline("multi_scale_ssim"),
    cpu=cpu.rows,
    if_too_small="SSIM takes smaller pictures, from 11 pixels on.",
    details=Details(
        "SCALES", SCALES, "the contrast-structure term of each scale, of the last one SSIM"
    ),
    map=Map(
        local_ssim,
        "the local SSIM of the full scale, of windows of 11x11 pixels that lie inside",
        dark=1,
        bright=0,
        words=("alike", "different"),
        with_details=True,
    ),
)
