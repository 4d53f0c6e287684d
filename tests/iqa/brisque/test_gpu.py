"""BRISQUE's GPU kernels against the float64 reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from iqa.brisque import gpu, reference, regressor
from iqa.brisque.gpu.layout import ENTRIES, layout
from iqa.images import Image
from tests.iqa.poison import poison_allocations


def noise(height: int, width: int, channels: int) -> Image:
    generator = np.random.default_rng(height * width)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


def document(height: int, width: int) -> Image:
    """White paper, exactly flat but for a few dark marks, as in a screenshot."""
    page = np.full((height, width, 1), 255, dtype=np.uint8)
    page[4:9, 5:22:3] = 20
    page[12:14, 3:-4] = 120
    return page


def slope(height: int, width: int) -> Image:
    """A linear slope, whose `x - mu` is exactly 0 away from the border, with one scratch in it."""
    rows, columns = np.indices((height, width))
    plane = 40 + 2 * rows + 3 * columns
    plane[height // 2, width // 2] += 30
    return plane.astype(np.uint8)[:, :, None]


def specks(height: int, width: int) -> Image:
    """Flat but for specks that stand out by one level; their tails at half size are minute."""
    generator = np.random.default_rng(height)
    page = np.full((height, width, 1), 120, dtype=np.uint8)
    page[generator.integers(0, height, 9), generator.integers(0, width, 9)] += 1
    page[generator.integers(0, height, 3), generator.integers(0, width, 3)] -= 1
    return page


def waves(height: int, width: int) -> Image:
    """Waves whose middles equal their window's mean by symmetry, not by being flat."""
    rows = np.indices((height, width))[0]
    return np.rint(90 + 34 * np.sin(rows * np.pi / 6)).astype(np.uint8)[:, :, None]


def checkerboard(height: int, width: int) -> Image:
    """Black and white squares of 5 pixels, the most that halving overshoots, with a scratch."""
    rows, columns = np.indices((height, width))
    board = 255 * ((rows // 5 + columns // 5) % 2)
    board[height // 3, :] = 100
    return board.astype(np.uint8)[:, :, None]


PICTURES = {
    "smallest": noise(16, 16, 1),
    "prime sides, RGB": noise(17, 37, 3),
    "specks, two tiles high, one side odd": specks(67, 20),
    "document, one side odd": document(16, 41),
    "slope, odd sides": slope(17, 21),
    "checkerboard": checkerboard(23, 31),
    "waves": waves(19, 20),
    "flat": np.full((16, 18, 1), 90, dtype=np.uint8),
}


@pytest.fixture(scope="module", autouse=True)
def float32_alone() -> Iterator[None]:
    """No fit is tied, so that nothing hides what the float32 kernels make of a picture."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(gpu, "PRECISION", 0.0)
        yield


@pytest.fixture(scope="module")
def batch(float32_alone: None) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001 it is there first
    """Features and scores of all pictures in one ragged batch, on poisoned memory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        poison_allocations(monkeypatch)
        found, errors = gpu.rows([(each,) for each in PICTURES.values()], "cpu")
    assert errors == [None] * len(PICTURES)
    return found[:, 1:], found[:, 0]


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "flat"])
def test_matches_the_reference(batch: tuple[np.ndarray, np.ndarray], name: str) -> None:
    index = list(PICTURES).index(name)
    expected = reference.features(PICTURES[name])
    np.testing.assert_allclose(batch[0][index], expected, rtol=1e-4, atol=1e-6)
    assert batch[1][index] == pytest.approx(regressor.load().scores(expected[None])[0], abs=0.01)


def test_tiles_that_touch_no_border(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "LANES", 8)
    picture = noise(16, 77, 3)
    poison_allocations(monkeypatch)
    features = gpu.rows([(picture,)], "cpu")[0][:, 1:]
    np.testing.assert_allclose(features[0], reference.features(picture), rtol=1e-4, atol=1e-6)


def test_a_flat_picture_has_no_features(batch: tuple[np.ndarray, np.ndarray]) -> None:
    index = list(PICTURES).index("flat")
    assert np.isnan(batch[0][index]).all()
    assert np.isnan(batch[1][index])


def test_no_bit_depends_on_the_batch_or_where_a_picture_lies(
    batch: tuple[np.ndarray, np.ndarray],
) -> None:
    name = "prime sides, RGB"
    index = list(PICTURES).index(name)
    found, _ = gpu.rows([(torch.from_numpy(PICTURES[name]),)], "cpu")
    np.testing.assert_array_equal(found[0, 1:], batch[0][index])
    assert found[0, 0] == batch[1][index]


class LaunchedError(Exception):
    """The tables are sent and the arrays allocated."""


def stop(*_: object, **__: object) -> None:
    raise LaunchedError


def test_a_tensor_on_the_device_is_not_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = PICTURES["smallest"]
    sent: list[int] = []
    empty = torch.empty

    def counted(size: int, **options: object) -> torch.Tensor:
        if options.get("dtype") == torch.uint8:
            sent.append(size)
        return empty(size, **options)  # type: ignore[call-overload] # any options of torch.empty

    monkeypatch.setattr(torch, "empty", counted)
    monkeypatch.setattr(gpu.sweep_kernel, "run", stop)
    for item in (picture, torch.from_numpy(picture)):
        with pytest.raises(LaunchedError):
            gpu.rows([(item,)], "cpu")
    buffer_of_array, _, buffer_of_tensor, _ = sent
    assert buffer_of_array - buffer_of_tensor == picture.nbytes


def test_memory_for_a_picture_covers_what_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    allocated = 0
    empty = torch.empty

    def counted(size: int, **options: object) -> torch.Tensor:
        nonlocal allocated
        tensor: torch.Tensor = empty(size, **options)  # type: ignore[call-overload] # as above
        allocated += tensor.nbytes
        return tensor

    monkeypatch.setattr(torch, "empty", counted)
    monkeypatch.setattr(gpu.sweep_kernel, "run", stop)
    for picture in (PICTURES["smallest"], np.zeros((1080, 1921, 3), dtype=np.uint8)):
        allocated = 0
        with pytest.raises(LaunchedError):
            gpu.rows([(picture,)], "cpu")
        # The staging buffer, as large as what is sent, is host memory.
        staging = picture.nbytes + 4096
        needed = gpu.memory_needed(np.array([picture.shape]), 0)[0]
        assert allocated - staging <= needed <= 1.2 * allocated + 4096


def test_layout_of_two_pictures() -> None:
    table = layout(((100, 300, 3), (65, 17, 1)), 32)
    planes = table.planes
    assert table.tile_plane.tolist() == [0] * 6 + [1] * 2 + [2] * 4 + [3] * 2
    assert planes[:, 1:6].tolist() == [
        [100, 300, 3, 0, 6], [65, 17, 1, 6, 2], [50, 150, 1, 8, 4], [33, 9, 1, 12, 2],
    ]  # fmt: skip
    assert planes[:2, 7].tolist() == planes[2:, 0].tolist() == [0, 50 * 150]
    assert planes[:2, 0].tolist() == [0, 1]
    assert (table.bounds[1], table.half_pixels) == (8, 50 * 150 + 33 * 9)
    assert table.edge_length == 2 * (400 + 82 + 200 + 42)
    assert planes.shape[1] == ENTRIES
