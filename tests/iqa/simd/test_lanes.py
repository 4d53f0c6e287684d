"""Vectors in Numba, compared with NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba.core.errors import TypingError

from iqa.simd.jit import kernel
from iqa.simd.lanes import (
    LANES,
    PHASES,
    RUN,
    dealt,
    inside,
    joined,
    load,
    load_at,
    load_pixels,
    load_rows,
    negative_bits,
    nonzero_bits,
    spread,
    store,
    store_phases,
    store_rows,
    sum_of,
    vector_max,
    vector_min,
    vector_sum,
    zero_below,
)

VECTORS = 6
TYPES = [np.float32, np.float64]


@pytest.fixture(params=TYPES, ids=["float32", "float64"])
def x(request: pytest.FixtureRequest) -> Any:
    """Vectors `[6, L]`, of numbers of either sign, some of them 0, all sums of which are exact."""
    count = LANES * 4 // np.dtype(request.param).itemsize
    values = np.random.default_rng(0).integers(-9, 10, (VECTORS, count)).astype(request.param)
    values[:, 0] = 0
    return values


def test_operations_are_of_each_number_and_a_vector_or_a_number_goes_with_all(x: Any) -> None:
    @kernel
    def run(x: Any, out: Any) -> None:
        step = x.shape[1]
        a = load_rows(x, 0, step, VECTORS, x.dtype)
        b = a[1:4] * a[0] - 2 * a[-3:] + 0.5
        c = min(abs(b), max(a[:3], 3)) / (math.sqrt(abs(a[2:5])) + 1)
        store_rows(out, 0, step, joined((c, math.floor(c * 4))))

    out = np.empty_like(x)
    run(x, out)
    b = x[1:4] * x[0] - 2 * x[-3:] + x.dtype.type(0.5)
    c = np.minimum(abs(b), np.maximum(x[:3], 3)) / (np.sqrt(abs(x[2:5])) + 1)
    np.testing.assert_array_equal(out[:3], c)
    np.testing.assert_array_equal(out[3:], np.floor(c * 4))


def test_sums(x: Any) -> None:
    @kernel
    def run(x: Any, out: Any) -> float:
        a = load_rows(x, 0, x.shape[1], VECTORS, x.dtype)
        store(out, 0, vector_sum(a))
        store_rows(out, x.shape[1], x.shape[1], spread(x[1, 1], 2))
        store(out, 3 * x.shape[1], vector_min(a))
        store(out, 4 * x.shape[1], vector_max(a))
        return sum_of(a)

    out = np.empty_like(x)
    assert run(x, out) == x.sum()
    np.testing.assert_array_equal(out[0], x.sum(axis=0))
    assert (out[1:3] == x[1, 1]).all()
    np.testing.assert_array_equal(out[3:5], [x.min(axis=0), x.max(axis=0)])


def test_choosing_numbers(x: Any) -> None:
    @kernel
    def run(x: Any, columns: int, out: Any) -> None:
        step = x.shape[1]
        a = load_rows(x, 0, step, 2, x.dtype)
        store_rows(out, 0, step, inside(columns, a, 7))
        store_rows(out, 2 * step, step, dealt(a[0], a[1]))
        store_rows(out, 4 * step, step, zero_below(a, 4))

    for columns in range(-1, 2 * x.shape[1] + 2):
        out = np.empty_like(x)
        run(x, columns, out)
        expected = x[:2].T.flatten()
        expected[max(columns, 0) :] = 7
        np.testing.assert_array_equal(out[:2], expected.reshape(-1, 2).T)
        np.testing.assert_array_equal(out[2:4], x[:2].reshape(-1, 2).T)
        np.testing.assert_array_equal(out[4:], np.where(abs(x[:2]) < 4, 0, x[:2]))


def test_bits(x: Any) -> None:
    @kernel
    def run(x: Any) -> Any:
        a = load_rows(x, 0, x.shape[1], 3, x.dtype)
        return negative_bits(a), nonzero_bits(a)

    x[0, 0] = -0.0
    negative, nonzero = run(x)
    weights = 1 << np.arange(3 * x.shape[1], dtype=np.uint64)
    assert negative == weights[np.signbit(x[:3].flatten())].sum()
    assert nonzero == weights[x[:3].flatten() != 0].sum()


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_are_of_the_type_asked_for(x: Any, dtype: type) -> None:
    @kernel
    def run(x: Any, out: Any) -> None:
        a = joined((load(x, 1, dtype), load_at(x, (2, 5), 1, dtype)))
        # Less than a vector apart: the next one leaves the first four numbers of each.
        store_rows(out, 0, 4, a / 3)

    out = np.zeros(3 * x.size, x.dtype)
    run(x, out)
    third = x.flatten().astype(dtype) / dtype(3)
    assert (out[0], out[4], out[8]) == tuple(third[[1, 3, 6]].astype(x.dtype))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels(channels: int) -> None:
    @kernel
    def run(pixels: Any, planes: Any, grey: Any) -> None:
        a = load_pixels(pixels, 1, channels)
        store_rows(planes, 0, planes.shape[1], a)
        store_phases(grey, 2, a[:PHASES])

    pixels = np.random.default_rng(1).integers(0, 256, RUN * 3 + 1, dtype=np.uint8)
    planes = np.zeros((PHASES * channels, LANES), np.float32)
    grey = np.zeros(RUN + 3, np.uint8)
    run(pixels, planes, grey)
    own = pixels[1 : 1 + RUN * channels]
    expected = own.reshape(LANES, PHASES, channels).transpose(2, 1, 0)
    np.testing.assert_array_equal(planes, expected.reshape(planes.shape))
    np.testing.assert_array_equal(grey, [0, 0, *own[::channels], 0])


def test_only_vectors_that_fit_each_other_are_combined(x: Any) -> None:
    @kernel
    def different_numbers(x: Any) -> float:
        a = load_rows(x, 0, x.shape[1], VECTORS, x.dtype)
        return sum_of(a[:2] + a[3:])

    @kernel
    def different_types(x: Any) -> float:
        return sum_of(load(x, 0, np.float32) + load(x, 0, np.float64))

    @kernel
    def several_in_one_place(x: Any) -> float:
        store(x, 0, load_rows(x, 0, x.shape[1], 2, x.dtype))
        return 0.0

    for run in (different_numbers, different_types, several_in_one_place):
        with pytest.raises(TypingError):
            run(x)
