"""A Triton model that calls piq for each picture or pair; every `model.py` names its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from perf.baselines.piq_scores import score
from serving.model import ScoringModel
from serving.split import Results


class PiqModel(ScoringModel):
    """`SCORE` of each request; no second output."""

    details = ""

    def score(self, *images: list[Any], **_: Any) -> Results:
        """See `ScoringModel`."""
        metric = "brisque" if len(images) == 1 else "ms_ssim"
        values = [score(metric, *pictures) for pictures in zip(*images, strict=True)]
        return Results(np.array(values), [None] * len(values))
