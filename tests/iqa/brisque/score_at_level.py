"""BRISQUE of the pictures of `test_levels` at the level of this process, which is printed first.

Three times: each picture alone, all together on one thread, and in reverse order on five.
"""

from __future__ import annotations

import iqa.brisque
from iqa.simd import level
from tests.iqa.brisque.test_levels import pictures


def main() -> None:
    images = pictures()
    print(level())
    print(*(iqa.brisque.score([image]).values[0].hex() for image in images))
    print(*(value.hex() for value in iqa.brisque.score(images, threads=1).values))
    print(*(value.hex() for value in iqa.brisque.score(images[::-1], threads=5).values[::-1]))


if __name__ == "__main__":
    main()
