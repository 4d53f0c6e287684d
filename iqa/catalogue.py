"""All metrics; a new one is one more line here, see docs/adding-a-metric.md."""

from __future__ import annotations

from iqa.brisque.catalogue import BRISQUE
from iqa.metric import Metric
from iqa.ms_ssim.catalogue import MS_SSIM
from iqa.psnr.catalogue import PSNR

METRICS: tuple[Metric, ...] = (BRISQUE, MS_SSIM, PSNR)


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in METRICS}[name]
