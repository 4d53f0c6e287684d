"""What `GET /api/v1/iqa/` tells of a metric, for programs and for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from iqa.metric import Metric


def describe(metric: Metric, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """A metric in JSON.

    Args:
        metric: to describe.
        path: of its route.
        parameters: those of its Triton model, which say what computes it.
    """
    low, high = metric.usual_range
    return {
        "id": metric.name,
        "name": metric.title,
        "path": path,
        "fields": list(metric.fields),
        "summary": metric.summary,
        "example": metric.example,
        "direction": metric.direction,
        "usual_range": {"low": low, "high": high, "clamped": False},
        "colour_space": metric.colour,
        "minimum_side": metric.minimum_side,
        "words": [
            {"words": words} | ({"below": limit} if math.isfinite(limit) else {})
            for limit, words in metric.words
        ],
        "digits": metric.digits,
        "details": metric.details and {"size": metric.details.size, "is": metric.details.summary},
        "map": metric.map
        and {
            "summary": metric.map.summary,
            "dark": {"value": metric.map.dark, "words": metric.map.words[0]},
            "bright": {"value": metric.map.bright, "words": metric.map.words[1]},
        },
        "implementation": {
            name: parameters[name] for name in ("version", *metric.provenance) if name in parameters
        },
    }
