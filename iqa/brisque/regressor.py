"""The support-vector regressor that the BRISQUE authors released, from features to the score."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.simd.jit import row_kernel
from iqa.simd.lanes import VECTOR_BYTES, load_rows, spread, sum_of

Array = NDArray[np.float64]

DOUBLES = VECTOR_BYTES // 8  # numbers of 64 bits in a vector
BLOCK = 4 * DOUBLES
WEIGHTS = Path(__file__).with_name("weights.npz")


@dataclass(frozen=True)
class Regressor:
    """Epsilon-SVR with an RBF kernel on features scaled to [-1, 1].

    Attributes:
        vectors: `[V, 36]` support vectors.
        coefficients: `[V]` their dual coefficients.
        gamma: RBF width.
        rho: bias, subtracted from the sum.
        feature_low, feature_high: `[36]` range of each feature in the training set.
        provenance: where the numbers came from, and the SHA-256 of the file they were taken from.
    """

    vectors: Array
    coefficients: Array
    gamma: float
    rho: float
    feature_low: Array
    feature_high: Array
    provenance: dict[str, str]

    @cached_property
    def table(self) -> Array:
        """What `regress` takes."""
        span = self.feature_high - self.feature_low
        padding = (0, -len(self.coefficients) % BLOCK)
        blocks = np.pad(self.vectors, (padding, (0, 0))).reshape(-1, BLOCK, len(span))
        coefficients = np.pad(self.coefficients, padding).reshape(-1, 1, BLOCK)
        blocks = np.concatenate([blocks.swapaxes(1, 2), coefficients], axis=1)
        ends = [self.gamma, self.rho]
        return np.concatenate([blocks.reshape(-1), 2 / span, 2 * self.feature_low / span + 1, ends])

    def scores(self, features: Array) -> Array:
        """Scores `[N]` of features `[N, 36]`; nan stays nan."""
        return np.array([regress(row, self.table) for row in features])


@row_kernel
def _exponential(x: Any) -> Any:
    """exp(x) of numbers below 0, as exp(x / 64)^64 and by its series; at least exp(-64)."""
    x = max(-64.0, x) * (1 / 64)  # in this order, as nan must stay
    y = 1 + x * (1 / 8)
    for k in range(7, 0, -1):
        y = 1 + x * (1 / k) * y
    for _ in range(6):
        y = y * y
    return y


@row_kernel
def regress(features: Array, table: Array) -> float:
    """Score of an image's features `[36]`; nan makes nan.

    Args:
        features: those of one image.
        table: in the order it is read in: of each `BLOCK` support vectors `[36, BLOCK]` and the
            coefficients, then a factor for each feature, what to subtract then, gamma and rho.
    """
    gamma, rho = table[len(table) - 2], table[len(table) - 1]
    factors = len(table) - 2 - 2 * len(features)
    totals, place = spread(0.0, 4), 0
    while place < factors:
        distances = spread(0.0, 4)
        for k in range(factors, factors + len(features)):
            feature = features[k - factors] * table[k] - table[k + len(features)]
            differences = feature - load_rows(table, place, DOUBLES, 4, np.float64)
            distances = distances + differences * differences
            place += BLOCK
        weights = load_rows(table, place, DOUBLES, 4, np.float64)
        totals = totals + weights * _exponential(-gamma * distances)
        place += BLOCK
    return sum_of(totals) - rho


@cache
def load(path: Path = WEIGHTS) -> Regressor:
    """Read the weights file that `export.brisque_weights` writes."""
    with np.load(path, allow_pickle=False) as file:
        return Regressor(
            vectors=file["vectors"],
            coefficients=file["coefficients"],
            gamma=float(file["gamma"]),
            rho=float(file["rho"]),
            feature_low=file["feature_low"],
            feature_high=file["feature_high"],
            provenance=json.loads(str(file["provenance"])),
        )
