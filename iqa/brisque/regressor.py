"""The support-vector regressor that the BRISQUE authors released, from features to the score."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

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
    def _norms(self) -> Array:
        return (self.vectors**2).sum(axis=1)

    def scores(self, features: Array) -> Array:
        """Scores `[N]` of features `[N, 36]`; nan stays nan.

        The products are stacked: of one `[N, 36]` matrix, BLAS would round a row differently in
        another batch.
        """
        scaled = 2 * (features - self.feature_low) / (self.feature_high - self.feature_low) - 1
        squares = (scaled**2).sum(axis=1)[:, None] + self._norms
        distances = squares - 2 * (scaled[:, None, :] @ self.vectors.T)[:, 0]
        kernels = np.exp(-self.gamma * distances)
        return (kernels[:, None, :] @ self.coefficients)[:, 0] - self.rho


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
