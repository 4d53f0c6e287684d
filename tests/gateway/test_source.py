"""What several items compare with is decoded once, whatever they run on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from decoding import DecodingError, Pixels
from gateway.source import DecodedOnce


class Counted:
    """A picture whose pixels are the background, and their number of decodings."""

    height, width, channels, is_fast, has_alpha = 40, 30, 3, False, True

    def __init__(self, *, is_damaged: bool = False) -> None:
        self.decodings = 0
        self._is_damaged = is_damaged

    def decode(self, out: Pixels, background: int = 255) -> bool:
        self.decodings += 1
        if self._is_damaged:
            raise DecodingError("invalid_image", "It is damaged.")
        out[...] = background
        return background == 0


@pytest.mark.parametrize("background", [0, 255])
def test_many_get_the_pixels_of_one_decoding(background: int) -> None:
    picture = Counted()
    shared = DecodedOnce(picture)

    def decode(_: int) -> tuple[int, bool]:
        out = np.full((40, 30, 3), 7, np.uint8)
        shows = shared.decode(out, background)
        return int(out.mean()), shows

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(decode, range(32))) == {(background, background == 0)}
    assert picture.decodings == 1
    shared.decode(np.empty((40, 30, 1), np.uint8), background)
    assert picture.decodings == 2  # luma is something else


def test_each_hears_of_the_damage() -> None:
    shared = DecodedOnce(Counted(is_damaged=True))
    for _ in range(2):
        with pytest.raises(DecodingError, match="damaged"):
            shared.decode(np.empty((40, 30, 3), np.uint8))
