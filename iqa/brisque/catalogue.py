"""What there is to know about BRISQUE."""

from __future__ import annotations

import math

from iqa.brisque import cpu
from iqa.brisque.contrast import local_contrast
from iqa.brisque.features import FEATURES, MINIMUM_SIDE
from iqa.images import Image, luma
from iqa.metric import Baseline, Details, Map, Metric


def _undefined(image: Image) -> str:
    """Why an image has no score; asked only about those that have none."""
    grey = luma(image)
    if grey.min() == grey.max():
        return "BRISQUE is undefined on an image that is equally bright everywhere."
    return (
        "BRISQUE is undefined on an image so regular that, in some direction, no two neighbouring "
        "pixels lie on opposite sides of their local means, or all do, at full or at half size: "
        "fine stripes or a checkerboard."
    )


BRISQUE = Metric(
    name="brisque",
    title="BRISQUE",
    path="/nr/brisque",
    fields=("image",),
    inputs=("IMAGE",),
    minimum_side=MINIMUM_SIDE,
    direction="lower is better",
    usual_range=(0, 100),
    words=(
        (20, "Excellent: looks like an undistorted photograph"),
        (40, "Good: slight distortion"),
        (60, "Fair: noticeable distortion"),
        (80, "Poor: annoying distortion"),
        (math.inf, "Bad: strongly distorted"),
    ),
    digits=2,
    colour="RGB is converted to luma (ITU-R BT.601), as Pillow's convert('L') does",
    summary="Naturalness of one picture, without a reference.",
    example=9.13,
    tolerance=0.02,
    baseline=Baseline("brisque"),
    cpu=cpu.rows,
    luma_only=True,
    details=Details("FEATURES", FEATURES, "the 36 features that the regressor sees"),
    map=Map(
        local_contrast,
        "the magnitude of each pixel's MSCN coefficient, its local contrast",
        dark=0,
        bright=3,
        words=("even", "full of contrast"),
    ),
    undefined=_undefined,
    provenance={
        "weights_source": "allmodel of the BRISQUE release, "
        "https://live.ece.utexas.edu/research/Quality/index_algorithms.htm",
        "weights_sha256": "7c8e239223d4ff930cbfad4bfbceb685dbf0977804794979d2a9ed54f5d8bf1f",
    },
)
