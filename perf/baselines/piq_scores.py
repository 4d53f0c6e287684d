"""piq's scores of single pictures, as every baseline without our kernels computes them."""

from __future__ import annotations

import torch

from iqa.catalogue import metric
from perf.baselines.piq_offline import piq
from perf.load.pictures import Pixels

torch.set_num_threads(1)  # the processes around this one keep the other cores busy


@torch.inference_mode()
def score(model: str, *images: Pixels) -> float:
    """piq's score, in its float32, of one RGB picture `[H, W, 3]` or of a pair.

    Args:
        model: name of a metric of the catalogue.
        images: the picture, or the original and the distorted one.
    """
    tensors = [torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in images]
    baseline = metric(model).baseline
    function = getattr(piq, baseline.function)
    return float(function(*tensors, data_range=255, **baseline.options))
