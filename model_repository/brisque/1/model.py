"""BRISQUE for Triton's Python backend."""

from __future__ import annotations

from typing import Any

import iqa
from serving.model import ScoringModel
from serving.split import Results


class TritonPythonModel(ScoringModel):
    """`IMAGE` in, `SCORE` and on request `FEATURES` and `MAP` out."""

    inputs = ("IMAGE",)
    details = "FEATURES"

    def score(self, *images: list[Any], details: bool, maps: bool, threads: int) -> Results:
        """See `ScoringModel`."""
        scored = iqa.brisque.score(
            *images,
            features=details,
            maps=maps,
            device=self.device,
            threads=threads,
            memory_limit=self.memory_limit,
        )
        return Results(scored.values, scored.errors, scored.features, scored.maps)
