"""All metrics; a new one is one more line here, see docs/adding-a-metric.md."""

from __future__ import annotations

from collections.abc import Sequence

from iqa.brisque.catalogue import BRISQUE
from iqa.metric import Metric
from iqa.ms_ssim.catalogue import MS_SSIM
from iqa.psnr.catalogue import PSNR
from iqa.ssim.catalogue import SSIM

METRICS: tuple[Metric, ...] = (BRISQUE, MS_SSIM, SSIM, PSNR)


def chosen(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of these names, in the order of `METRICS`; all of them where none is named.

    Raises:
        KeyError: there is no metric of one of the names.
    """
    if unknown := sorted(set(names) - {each.name for each in METRICS}):
        raise KeyError(unknown[0])
    return tuple(each for each in METRICS if not names or each.name in names)


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in METRICS}[name]
