"""Score images that begin or end where memory does: `python -m tests.iqa.guarded_pages`.

A read before the first pixel or after the last one ends the process, so each is named before.
"""

import ctypes
import mmap
from itertools import product

import numpy as np

from iqa.catalogue import METRICS
from iqa.images import Image

SIZES = [
    (1100, 3000, 3),
    (177, 301, 3),
    (256, 256, 1),
    (162, 193, 1),
    (17, 16, 3),
    (16, 17, 1),
    (12, 11, 3),
    (2, 1, 3),
]
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
    for size, at_end, metric in product(SIZES, (False, True), METRICS):
        if min(size[:2]) >= metric.minimum_side:
            print(size, "ends" if at_end else "begins", "there:", metric.name, flush=True)
            images = random.integers(0, 256, (len(metric.inputs), *size), dtype=np.uint8)
            found = metric.score(*([guarded(image, at_end)] for image in images)).values
            assert found == metric.score(*([image] for image in images)).values


if __name__ == "__main__":
    main()
