"""Fits recover the distributions that made the sums, and the regressor its training range."""

from __future__ import annotations

import math

import numpy as np
import pytest

from iqa.brisque import regressor
from iqa.brisque.features import features_from_moments, nearest, shape_table


def generalised_gaussian_sums(shape: float, count: int) -> list[float]:
    """`[sum |c|, sum c^2]` of `count` coefficients of unit variance."""
    ratio = math.gamma(2 / shape) ** 2 / (math.gamma(1 / shape) * math.gamma(3 / shape))
    return [count * math.sqrt(ratio), float(count)]


def sums(shape: float, left: float, right: float, count: int = 10**6) -> np.ndarray:
    """22 sums of exact expectations, with all four products asymmetric Gaussian (shape 2)."""
    share = left / (left + right)
    counts = [count * share, count * (1 - share)]
    absolute = math.sqrt(2 / math.pi) * (counts[0] * left + counts[1] * right)
    pair = [*counts, absolute, counts[0] * left**2, counts[1] * right**2]
    return np.array([*generalised_gaussian_sums(shape, count), *pair * 4])


@pytest.mark.parametrize("shape", [0.3, 0.8, 2.0, 5.123, 9.9])
@pytest.mark.parametrize(("left", "right"), [(1.0, 1.0), (0.2, 0.7), (3.0, 0.5)])
def test_a_fit_recovers_the_distribution(shape: float, left: float, right: float) -> None:
    moments = np.stack([sums(shape, left, right)] * 2)
    fitted = features_from_moments(moments, np.full(2, 10**6)).reshape(2, 18)
    np.testing.assert_allclose(fitted[:, 0], shape, atol=1e-3)
    np.testing.assert_allclose(fitted[:, 1], 1)
    mean = (right - left) * math.sqrt(2 / math.pi)
    for pair in fitted[:, 2:].reshape(8, 4):
        np.testing.assert_allclose(pair, [2, mean, left**2, right**2], atol=2e-3)


def test_no_contrast_and_products_of_one_sign_have_no_fit() -> None:
    moments = np.stack([np.stack([sums(1, 1, 1)] * 2)] * 4)
    moments[1] = 0
    moments[2, 1, 5] = 0
    moments[3, 0, 6] = 0
    rows = [features_from_moments(image, np.full(2, 10**6)) for image in moments]
    assert np.isfinite(rows[0]).all()
    assert np.isnan(rows[1:]).all()


def test_nearest_takes_the_lower_on_a_tie_and_stays_inside() -> None:
    table = np.array([1.0, 2.0, 4.0])
    values = np.array([0.0, 1.4, 1.5, 1.6, 3.0, 3.1, 9.0])
    assert [nearest(table, value) for value in values] == [0, 0, 0, 1, 1, 2, 2]


def test_shapes_are_the_grid_of_the_release() -> None:
    shapes, ratios, spreads = shape_table()
    assert len(shapes) == 9801
    assert shapes[0] == pytest.approx(0.2)
    assert shapes[-1] == pytest.approx(10)
    assert (np.diff(ratios) > 0).all()
    at_two = np.abs(shapes - 2).argmin()
    assert ratios[at_two] == pytest.approx(2 / math.pi)
    assert spreads[at_two] == pytest.approx(math.sqrt(2 / math.pi))


def test_the_regressor_is_the_sum_over_its_vectors() -> None:
    model = regressor.load()
    assert model.vectors.shape == (774, 36)
    assert (model.gamma, model.rho) == (0.05, -153.591)
    span = model.feature_high - model.feature_low
    features = model.feature_low + np.random.default_rng(0).random((5, 36)) * span
    scaled = 2 * (features - model.feature_low) / span - 1
    expected = [
        math.fsum(
            coefficient * math.exp(-0.05 * float(((row - vector) ** 2).sum()))
            for coefficient, vector in zip(model.coefficients, model.vectors, strict=True)
        )
        + 153.591
        for row in scaled
    ]
    np.testing.assert_allclose(model.scores(features), expected, rtol=1e-10)


def test_features_far_from_those_of_training_have_the_bias_as_score() -> None:
    model = regressor.load()
    for factor in (10, 100, 1e6):
        features = model.feature_high + factor * (model.feature_high - model.feature_low)
        assert model.scores(features[None])[0] == pytest.approx(-model.rho, abs=1e-9)


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    model = regressor.load()
    span = model.feature_high - model.feature_low
    features = model.feature_low + np.random.default_rng(1).random((64, 36)) * span
    alone = np.concatenate([model.scores(row[None]) for row in features])
    assert model.scores(features[::-1]).tobytes() == alone[::-1].tobytes()


def test_nan_features_make_a_nan_score_and_no_other() -> None:
    features = np.repeat(regressor.load().feature_low[None], 3, axis=0)
    features[1] = np.nan
    assert np.isnan(regressor.load().scores(features)).tolist() == [False, True, False]
