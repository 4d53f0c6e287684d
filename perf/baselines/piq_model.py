"""A Triton model that calls piq for each picture or pair; see `piq_repository`."""

from __future__ import annotations

from typing import Any

import numpy as np

from iqa.metric import Scores
from perf.baselines.piq_scores import score
from serving.model import ScoringModel


class PiqModel(ScoringModel):
    """`SCORE` of each request; no other output."""

    def score(self, *images: list[Any], **_: Any) -> Scores:
        """See `ScoringModel`."""
        values = [score(self.metric.name, *pictures) for pictures in zip(*images, strict=True)]
        return Scores(np.array(values), [None] * len(values))
