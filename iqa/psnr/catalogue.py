"""What there is to know about PSNR."""

from __future__ import annotations

import math

from iqa.metric import Baseline, Details, Map, Metric
from iqa.psnr import cpu
from iqa.psnr.reference import CHANNELS

PSNR = Metric(
    name="psnr",
    title="PSNR",
    path="/fr/psnr",
    fields=("original_image", "distorted_image"),
    inputs=("REFERENCE", "DISTORTED"),
    minimum_side=1,
    direction="higher is better",
    usual_range=(20, 50),
    words=(
        (25, "Strong differences"),
        (33, "Visible differences"),
        (40, "Small differences"),
        (50, "Differences that are hard to see"),
        (math.inf, "Identical, or nearly so"),
    ),
    digits=2,
    colour="all RGB samples count alike",
    summary=(
        "Mean squared error of a distorted picture in decibels, 10 log10(255^2 / MSE); "
        "identical pictures answer 100."
    ),
    example=31.42,
    tolerance=1e-4,
    baseline=Baseline("psnr"),
    cpu=cpu.rows,
    details=Details("ERRORS", 1 + CHANNELS, "MSE, and PSNR of red, green and blue in decibels"),
    map=Map(
        cpu.error_map,
        "the squared error of each pixel, mean over channels",
        dark=0,
        bright=400,
        words=("equal", "different"),
        with_details=True,
    ),
)
