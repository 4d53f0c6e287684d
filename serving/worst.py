"""Picks, of the versions in which an item was scored, the one whose score counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iqa.metric import Metric, Scores


def worst(metric: Metric, scores: Scores, counts: Sequence[int]) -> Scores:
    """The results of the items of which `counts` versions each were scored, in order.

    The worst score of an item counts, with its details and map; if a version failed, its error.
    """
    if all(count == 1 for count in counts):
        return scores
    picks, end = [], 0
    for count in counts:
        start, end = end, end + count
        ranks = [
            metric.rank(scores.values[row]) if scores.errors[row] is None else -np.inf
            for row in range(start, end)
        ]
        picks.append(start + int(np.argmin(ranks)))
    return Scores(
        scores.values[picks],
        [scores.errors[row] for row in picks],
        None if scores.details is None else scores.details[picks],
        None if scores.maps is None else [scores.maps[row] for row in picks],
    )
