"""How much of a file, and of what it says to contain, is looked at."""

from __future__ import annotations

from io import BytesIO

MAX_BYTES = 128 << 20  # of a file, and...
MAX_PIXELS = 103_000_000  # ...of a picture, where nobody sets another limit
MOST_READS = 2_000_000  # from one file; a picture takes thousands, but for run-length coded BMP


class LimitedFile(BytesIO):
    """A file as Pillow reads it: piece by piece, but not in millions of them.

    Each chunk, block or run costs Python objects and calls, so that a few bytes of nothing,
    repeated, would take a thousand times the time and memory of as many bytes of picture.
    """

    _reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes.

        Raises:
            ValueError: there were too many pieces.
        """
        self._reads += 1
        if self._reads > MOST_READS:
            raise ValueError("more pieces than any picture has")
        return super().read(size)
