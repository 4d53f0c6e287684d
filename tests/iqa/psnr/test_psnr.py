"""PSNR against its definition and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

import iqa.psnr
from iqa.images import Image
from iqa.psnr import cpu, reference
from tests.iqa.content import KINDS, picture


def pair(kind: str, height: int, width: int, channels: int, seed: int) -> tuple[Image, Image]:
    x = picture(kind, height, width, channels, seed)
    noise = np.random.default_rng(seed).normal(0, seed % 60, x.shape)
    return x, np.clip(np.rint(x + noise), 0, 255).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(KINDS)),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([1, 3]),
    st.integers(1, 2**32 - 1),
)
def test_is_scikit_images(kind: str, height: int, width: int, channels: int, seed: int) -> None:
    x, y = pair(kind, height, width, channels, seed)
    y[0, 0, 0] = x[0, 0, 0] ^ 1  # they differ
    scores = iqa.psnr.score([x], [y], details=True)
    expected = peak_signal_noise_ratio(x, y, data_range=255)
    assert scores.values[0] == pytest.approx(expected, abs=1e-9)
    assert reference.score(x, y) == scores.values[0]
    assert scores.details is not None
    mse, *of_channels = scores.details[0]
    assert mse == pytest.approx(mean_squared_error(x, y), rel=1e-14)
    for channel, found in enumerate(of_channels):
        one, other = (image[:, :, channel % channels] for image in (x, y))
        different = (one != other).any()
        expected = peak_signal_noise_ratio(one, other, data_range=255) if different else 100
        assert found == pytest.approx(expected, abs=1e-9)


def test_identical_pictures_answer_100() -> None:
    x = picture("photograph", 50, 70, 3, 1)
    scores = iqa.psnr.score([x], [x.copy()], details=True)
    assert scores.values[0] == 100
    assert scores.details is not None
    np.testing.assert_array_equal(scores.details, [[0, 100, 100, 100]])


def test_opposites_answer_0() -> None:
    black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    assert iqa.psnr.score([black], [white]).values[0] == 0


@pytest.mark.parametrize("shape", [(1024, 1400, 1), (2600, 1800, 3)])
def test_sums_do_not_overflow(shape: tuple[int, int, int]) -> None:
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    scores = iqa.psnr.score([black], [white], details=True)
    assert scores.details is not None
    np.testing.assert_array_equal(scores.details, [[255**2, 0, 0, 0]])
    sums = np.zeros(shape[2], np.int64)
    cpu.add_up(*(image.reshape(-1)[: cpu.MOST_SAMPLES] for image in (black, white)), sums)
    np.testing.assert_array_equal(sums * shape[2], min(black.size, cpu.MOST_SAMPLES) * 255**2)


def test_same_bits_in_any_batch_and_on_any_number_of_threads() -> None:
    pairs = [pair("noise", *size, seed + 3) for seed, size in enumerate(
        [(1, 1, 3), (700, 900, 3), (3, 2, 1), (1300, 1500, 1), (64, 64, 3)]
    )]  # fmt: skip
    alone = [cpu.rows([each], 1)[0].tobytes() for each in pairs]
    for threads in (1, 2, 5, None):
        found = cpu.rows(pairs[::-1], threads)[::-1]
        assert [row.tobytes() for row in found] == alone


def test_map_is_the_squared_error() -> None:
    x, y = pair("photograph", 40, 53, 3, 5)
    scores = iqa.psnr.score([x], [y], maps=True, details=True)
    assert scores.maps is not None
    assert scores.details is not None
    (found,) = scores.maps
    assert found is not None
    assert found.dtype == np.float32
    expected = ((x.astype(np.float64) - y) ** 2).mean(axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert found.mean(dtype=np.float64) == pytest.approx(scores.details[0, 0], rel=1e-7)


def test_images_with_gaps_between_their_rows() -> None:
    x, y = pair("photograph", 40, 60, 3, 9)
    expected = reference.score(x[:, 5:40], y[:, 5:40])
    assert iqa.psnr.score([x[:, 5:40]], [y[:, 5:40]]).values[0] == expected
