"""An uploaded file on its way to pixels, which several items of a batch may share."""

from __future__ import annotations

from threading import Lock

import numpy as np

from decoding import Picture, Pixels
from decoding.pictures import WHITE


class Source:
    """An uploaded file.

    Attributes:
        data: its bytes.
        is_shared: several items compare with it, so that it is decoded once for all of them.
        picture: what its header says; None until it was read.
    """

    def __init__(self, data: memoryview, *, is_shared: bool = False) -> None:
        self.data = data
        self.is_shared = is_shared
        self.picture: Picture | None = None

    @property
    def decoded_bytes(self) -> int:
        """Of its pixels; 0 where there is no picture."""
        picture = self.picture
        return picture.height * picture.width * picture.channels if picture else 0


class DecodedOnce:
    """A picture that keeps its pixels for those who ask next; see `Picture`."""

    def __init__(self, picture: Picture) -> None:
        self.height, self.width, self.channels = picture.height, picture.width, picture.channels
        self.is_fast, self.has_alpha = picture.is_fast, picture.has_alpha
        self._picture = picture
        self._lock = Lock()
        self._decoded: dict[tuple[int, int], tuple[Pixels, bool]] = {}

    def decode(self, out: Pixels, background: int = WHITE) -> bool:
        """Write the pixels; see `Picture`."""
        wanted = out.shape[2], background
        with self._lock:
            if wanted not in self._decoded:
                pixels = np.empty_like(out)
                self._decoded[wanted] = pixels, self._picture.decode(pixels, background)
        pixels, background_shows = self._decoded[wanted]
        out[...] = pixels
        return background_shows
