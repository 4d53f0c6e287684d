"""Score images that begin or end where memory does: `python -m tests.iqa.guarded_pages 177 301 3`.

A read before the first pixel or after the last one ends the process.
"""

import ctypes
import mmap
import sys

import numpy as np

from iqa.catalogue import METRICS
from iqa.images import Image

NO_ACCESS = 0  # PROT_NONE, which the module mmap lacks
libc = ctypes.CDLL(None, use_errno=True)


def guarded(image: Image, at_end: bool) -> Image:
    """A copy of an image that begins or ends with the pages between two that nobody may touch."""
    size = -(-image.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, size + 2 * mmap.PAGESIZE)
    offset = mmap.PAGESIZE + (size - image.nbytes if at_end else 0)
    copy = np.frombuffer(memory, np.uint8, image.size, offset).reshape(image.shape)
    copy[:] = image
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for guard in (start, start + mmap.PAGESIZE + size):
        if libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(mmap.PAGESIZE), NO_ACCESS) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    return copy


def main() -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (2, *map(int, sys.argv[1:])), dtype=np.uint8)
    for at_end in (False, True):
        guarded_x, guarded_y = guarded(x, at_end), guarded(y, at_end)
        for metric in METRICS:
            if min(x.shape[:2]) >= metric.minimum_side:
                count = len(metric.inputs)
                found = metric.score(*[[guarded_x], [guarded_y]][:count]).values
                assert found == metric.score(*[[x], [y]][:count]).values


if __name__ == "__main__":
    main()
