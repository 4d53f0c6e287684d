"""Ragged batches: tiles, offsets and the one copy to the device."""

from __future__ import annotations

import numpy as np
import torch

from iqa.gpu.ragged import offsets, send, tile_table

CPU = torch.device("cpu")


def bytes_at(address: int, shape: tuple[int, ...]) -> np.ndarray:
    """What a kernel sees at a CPU address."""
    pointer = {"data": (address, True), "shape": shape, "typestr": "|u1", "version": 3}
    return np.asarray(type("Memory", (), {"__array_interface__": pointer})())


def test_offsets_of_parts() -> None:
    starts, total = offsets(np.array([3, 0, 5]))
    assert starts.tolist() == [0, 3, 3]
    assert total == 8
    assert offsets(np.array([], dtype=np.int64))[1] == 0


def test_tiles_cover_each_plane() -> None:
    plane, first, tiles = tile_table(
        np.array([64, 65, 1]), np.array([10, 129, 128]), np.array([64, 64, 32]), 128
    )
    assert plane.tolist() == [0, 1, 1, 1, 1, 2]
    assert first.tolist() == [0, 1, 5]
    assert tiles.tolist() == [1, 4, 1]


def test_images_of_any_layout_arrive_whole() -> None:
    generator = np.random.default_rng(1)
    large = generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    images = [large[::2, ::-1], large[:7, :5, :1], np.asfortranarray(large)]
    on_device = torch.from_numpy(large.copy())[3:20, :, :]
    table = np.arange(6, dtype=np.int32).reshape(2, 3)
    (addresses, sent_table), alive = send([*images, on_device], [table], CPU)
    assert sent_table.tolist() == table.ravel().tolist()
    for address, image in zip(addresses[:3].tolist(), images, strict=True):
        np.testing.assert_array_equal(bytes_at(address, image.shape), image)
    assert addresses.tolist()[3] == on_device.data_ptr()
    assert len(alive) == 2
