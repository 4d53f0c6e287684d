"""MS-SSIM for Triton's Python backend."""

from __future__ import annotations

from typing import Any

import iqa
from serving.model import ScoringModel
from serving.split import Results


class TritonPythonModel(ScoringModel):
    """`REFERENCE` and `DISTORTED` in, `SCORE` and on request `SCALES` and `MAP` out."""

    inputs = ("REFERENCE", "DISTORTED")
    details = "SCALES"

    def score(self, *images: list[Any], details: bool, maps: bool, threads: int) -> Results:
        """See `ScoringModel`."""
        scored = iqa.ms_ssim.score(
            *images,
            scales=details,
            maps=maps,
            device=self.device,
            threads=threads,
            memory_limit=self.memory_limit,
        )
        return Results(scored.values, scored.errors, scored.scales, scored.maps)
