"""Bounded device memory: what runs together, and what happens when memory is short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from iqa import brisque, ms_ssim
from iqa.brisque import gpu
from iqa.gpu.device import chunks, run_bounded
from iqa.ms_ssim import gpu as ms_ssim_gpu


class Device:
    """A device whose memory holds `room` items at a time; an item's row is its own number."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.calls: list[list[int]] = []

    def run(self, items: Sequence[Any], _: torch.device) -> np.ndarray:
        self.calls.append(list(items))
        if len(items) > self.room:
            raise torch.OutOfMemoryError
        return np.array([[float(item)] for item in items])


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([3, 3, 3], [[0, 1, 2]]),
        ([6, 5, 4, 1], [[0], [1, 2], [3]]),
        ([30, 1, 30], [[0], [1], [2]]),
    ],
)
def test_chunks_stay_below_the_limit(costs: list[int], expected: list[list[int]]) -> None:
    assert [list(chunk) for chunk in chunks(costs, 9)] == expected


def test_a_batch_that_fits_is_one_call() -> None:
    device = Device(room=4)
    rows, errors = run_bounded(device.run, range(4), [1] * 4, 1, "cpu")
    assert device.calls == [[0, 1, 2, 3]]
    assert rows[:, 0].tolist() == [0, 1, 2, 3]
    assert errors == [None] * 4


def test_a_batch_out_of_memory_is_split_once() -> None:
    device = Device(room=3)
    rows, errors = run_bounded(device.run, range(5), [1] * 5, 1, "cpu")
    assert device.calls == [[0, 1, 2, 3, 4], [0, 1, 2], [3, 4]]
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert errors == [None] * 5


def test_what_still_does_not_fit_gets_an_error_and_the_device_lives_on() -> None:
    device = Device(room=2)
    rows, errors = run_bounded(device.run, range(5), [1] * 5, 1, "cpu")
    assert device.calls == [[0, 1, 2, 3, 4], [0, 1, 2], [3, 4]]
    assert [None if error is None else error.code for error in errors] == [
        *["out_of_memory"] * 3, None, None,
    ]  # fmt: skip
    assert np.isnan(rows[:3]).all()
    assert rows[3:, 0].tolist() == [3, 4]
    assert run_bounded(device.run, range(1), [1], 1, "cpu")[1] == [None]


@pytest.mark.parametrize("name", ["cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    image = np.zeros((16, 16, 1), dtype=np.uint8)
    with pytest.raises(ValueError, match=name):
        brisque.score([image], device=name)


def test_other_failures_are_not_swallowed() -> None:
    def broken(*_: object) -> np.ndarray:
        raise RuntimeError("illegal memory access")

    with pytest.raises(RuntimeError, match="illegal"):
        run_bounded(broken, range(1), [1], 1, "cpu")


def test_an_image_for_which_memory_is_short_spares_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = np.random.default_rng(0).integers(0, 256, (16, 16, 1), dtype=np.uint8)
    large = np.zeros((64, 64, 1), dtype=np.uint8)
    tiny = np.zeros((4, 4, 1), dtype=np.uint8)
    compute = gpu._run

    def short(items: list[tuple[np.ndarray]], _: torch.device) -> np.ndarray:
        if any(image.size > 1000 for (image,) in items):
            raise torch.OutOfMemoryError
        # The public call takes "cpu" for the CPU kernel; this device runs on CPU memory as well.
        return compute(items, torch.device("cpu"))

    monkeypatch.setattr(gpu, "_run", short)
    result = brisque.score([small, tiny, large], device="meta")
    codes = [None if error is None else error.code for error in result.errors]
    assert codes == [None, "image_too_small", "out_of_memory"]
    expected = brisque.score([small]).values[0]
    assert result.values[0] == pytest.approx(expected, abs=0.01)
    assert np.isnan(result.values[1:]).all()


def test_pairs_for_which_memory_is_short_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> np.ndarray:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(ms_ssim_gpu, "_run", full)
    wide, square = (np.zeros((161, width, 1), dtype=np.uint8) for width in (170, 161))
    result = ms_ssim.score([wide, square, square], [square, square, square], device="meta")
    codes = [None if error is None else error.code for error in result.errors]
    assert codes == ["size_mismatch", "out_of_memory", "out_of_memory"]
    assert np.isnan(result.values).all()
