"""MS-SSIM's GPU kernels against the float64 reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from iqa.images import Image
from iqa.ms_ssim import gpu, reference
from iqa.ms_ssim.gpu.layout import layout
from iqa.ms_ssim.pooling import pool
from tests.iqa.poison import poison_allocations


def with_noise(image: np.ndarray, amplitude: int) -> Image:
    generator = np.random.default_rng(amplitude)
    noise = generator.integers(-amplitude, amplitude + 1, image.shape)
    return np.clip(image.astype(np.int64) + noise, 0, 255).astype(np.uint8)


def waves(height: int, width: int, channels: int) -> Image:
    rows, columns, channel = np.indices((height, width, channels))
    return (127 + 90 * np.sin(rows / 9 + channel) * np.cos(columns / (5 + channel))).astype(
        np.uint8
    )


def fields(height: int, width: int) -> Image:
    """Black and white fields, the most a variance can cancel in float32."""
    rows, columns, _ = np.indices((height, width, 1))
    return (255 * ((rows // (height // 4) + columns // (width // 3)) % 2)).astype(np.uint8)


def three_in_one(height: int, width: int) -> tuple[Image, Image]:
    """An RGB pair: a wave with noise, a flat pair that differs, fields."""
    wave, board = waves(height, width, 1), fields(height, width)
    flat = np.full((height, width, 1), 100, dtype=np.uint8)
    distorted = [with_noise(wave, 12), flat + 9, with_noise(board, 3)]
    return np.concatenate([wave, flat, board], axis=2), np.concatenate(distorted, axis=2)


# The interpreter takes as long for a row of any width, and five scales need 161 rows: what is not
# about their number is shown with two, which need 21.
EXPONENTS = (0.4, 0.6)
PAIRS = {
    "smallest, RGB": three_in_one(21, 21),
    "even and odd side": (waves(22, 25, 1), with_noise(waves(22, 25, 1), 60)),
    "several tiles a row, negative": (waves(21, 129, 1), 255 - waves(21, 129, 1)),
}


def score(pairs: Sequence[tuple[Image, Image]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and terms by two scales."""
    found, errors = gpu.rows_of_scales(pairs, "cpu", None, EXPONENTS)
    assert errors == [None] * len(pairs)
    return found[:, 0], found[:, 1:]


@pytest.fixture(scope="module")
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Scores and terms of all pairs in one ragged batch, on poisoned memory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        poison_allocations(monkeypatch)
        return score(list(PAIRS.values()))


@pytest.mark.parametrize("name", PAIRS)
def test_matches_the_reference(
    batch: tuple[np.ndarray, np.ndarray], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "SCALES", len(EXPONENTS))
    index = list(PAIRS).index(name)
    terms = reference.terms(*PAIRS[name])
    value = np.prod(np.maximum(terms, 0).T ** EXPONENTS, axis=1).mean()
    assert batch[0][index] == pytest.approx(value, abs=1e-5)
    np.testing.assert_allclose(batch[1][index], terms.mean(axis=1), atol=1e-5)
    if "negative" in name:
        assert terms.min() < 0


def test_matches_the_reference_at_all_five_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    """White fields are the most that a plane of the last scale may hold."""
    monkeypatch.setattr(gpu, "LANES", 128)  # a tile is as wide as the picture
    poison_allocations(monkeypatch)
    pair = fields(162, 165), with_noise(fields(162, 165), 3)
    found, errors = gpu.rows([pair], "cpu")
    value, terms = pool(reference.terms(*pair))
    assert errors == [None]
    assert found[0, 0] == pytest.approx(value, abs=1e-5)
    np.testing.assert_allclose(found[0, 1:], terms, atol=1e-5)


def test_the_batch_does_not_change_a_bit(batch: tuple[np.ndarray, np.ndarray]) -> None:
    name = "even and odd side"
    scores, terms = score([PAIRS[name]])
    index = list(PAIRS).index(name)
    assert scores[0] == batch[0][index]
    np.testing.assert_array_equal(terms[0], batch[1][index])


def test_plane_table_halves_as_the_reference_does() -> None:
    shapes = np.array([[163, 162, 3], [512, 768, 1]])
    table = layout(tuple(map(tuple, shapes.tolist())), 5, 32)
    planes = table.planes
    sides = planes[:, :, 3:5]
    for plane, (height, width, _) in ((0, shapes[0]), (3, shapes[1])):
        picture = np.zeros((height, width, 1))
        for scale in range(len(planes)):
            assert tuple(sides[scale, plane]) == picture.shape[:2]
            picture = reference.halve(picture)
    assert planes[0, :, :3].tolist() == [[0, 2, 0], [0, 2, 1], [0, 2, 2], [1, 3, 0]]
    assert table.pyramid_length == 2 * int(sides[1:].prod(axis=2).sum())
    assert len(table.tile_plane) == planes[:, :, 7].sum() == table.bounds[-1]
    assert table.pairs.tolist() == [[0, 3], [3, 1]]
    assert planes[0, 1, 8] == planes[1, 1, 0]


@pytest.mark.parametrize("shape", [(161, 161, 1), (1081, 1921, 3)])
def test_memory_for_a_pair_covers_its_pyramid_and_tables(shape: tuple[int, int, int]) -> None:
    table = layout((shape,), 5, 32)
    pixels = 2 * int(np.prod(shape))
    tables = table.planes.nbytes + table.tile_plane.nbytes
    sums = 8 * (len(table.tile_plane) + table.planes[:, :, 0].size)
    needed = pixels + 2 * table.pyramid_length + tables + sums
    assert needed <= gpu.memory_needed(np.array([shape]))[0] <= 1.2 * needed + 4096
