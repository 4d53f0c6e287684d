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
    return (255 * ((rows // 40 + columns // 56) % 2)).astype(np.uint8)


def three_in_one() -> tuple[Image, Image]:
    """An RGB pair, as small as can be: a wave with noise, a flat pair that differs, fields."""
    original, flat = waves(161, 161, 1), np.full((161, 161, 1), 100, dtype=np.uint8)
    references = [original, flat, fields(161, 161)]
    distorted = [with_noise(original, 12), flat + 9, with_noise(fields(161, 161), 3)]
    return np.concatenate(references, axis=2), np.concatenate(distorted, axis=2)


PAIRS = {
    "smallest, RGB": three_in_one(),
    "even and odd side": (waves(162, 165, 1), with_noise(waves(162, 165, 1), 60)),
}
NEGATIVE = waves(161, 176, 1), 255 - waves(161, 176, 1)


def score(pairs: Sequence[tuple[Image, Image]]) -> tuple[np.ndarray, np.ndarray]:
    found, errors = gpu.rows(pairs, "cpu")
    assert errors == [None] * len(pairs)
    return found[:, 0], found[:, 1:]


def set_lanes(monkeypatch: pytest.MonkeyPatch, lanes: int) -> None:
    """Wider tiles: the interpreter takes as long for a wide one as for a slim one."""
    monkeypatch.setattr(gpu, "LANES", lanes)


@pytest.fixture(scope="module")
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Scores and scales of all pairs in one ragged batch, on poisoned memory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_lanes(monkeypatch, 256)
        poison_allocations(monkeypatch)
        return score(list(PAIRS.values()))


@pytest.mark.parametrize("name", PAIRS)
def test_matches_the_reference(batch: tuple[np.ndarray, np.ndarray], name: str) -> None:
    index = list(PAIRS).index(name)
    value, scales = pool(reference.terms(*PAIRS[name]))
    assert batch[0][index] == pytest.approx(value, abs=1e-5)
    np.testing.assert_allclose(batch[1][index], scales, atol=1e-5)


def test_several_tiles_a_row_and_a_negative_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    set_lanes(monkeypatch, 128)
    scores, scales = score([NEGATIVE])
    value, expected = pool(reference.terms(*NEGATIVE))
    assert expected.min() < 0
    assert scores[0] == pytest.approx(value, abs=1e-5)
    np.testing.assert_allclose(scales[0], expected, atol=1e-5)


def test_the_batch_does_not_change_a_bit(
    batch: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "even and odd side"
    set_lanes(monkeypatch, 256)
    scores, scales = score([PAIRS[name]])
    index = list(PAIRS).index(name)
    assert scores[0] == batch[0][index]
    np.testing.assert_array_equal(scales[0], batch[1][index])


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
    assert len(table.tile_plane) == table.tiles.sum() == table.bounds[-1]
    assert table.pairs.tolist() == [[0, 3], [3, 1]]
    assert planes[0, 1, 7] == planes[1, 1, 0]


@pytest.mark.parametrize("shape", [(161, 161, 1), (1081, 1921, 3)])
def test_memory_for_a_pair_covers_its_pyramid_and_tables(shape: tuple[int, int, int]) -> None:
    table = layout((shape,), 5, 32)
    pixels = 2 * int(np.prod(shape))
    tables = table.planes.nbytes + table.tile_plane.nbytes + table.tiles.nbytes
    sums = 8 * (len(table.tile_plane) + table.tiles.size)
    needed = pixels + 2 * table.pyramid_length + tables + sums
    assert needed <= gpu.memory_needed(np.array([shape]))[0] <= 1.2 * needed + 4096
