"""MS-SSIM and SSIM of the pairs of `test_levels` at the level of this process, printed first.

Three times: each pair alone, all together on one thread, and in reverse order on five.
"""

from __future__ import annotations

import iqa.ms_ssim
import iqa.ssim
from iqa.simd import level
from tests.iqa.ms_ssim.test_levels import pairs


def main() -> None:
    x, y = (list(images) for images in zip(*pairs(), strict=True))
    print(level())
    for score in (iqa.ms_ssim.score, iqa.ssim.score):
        print(*(score([one], [other]).values[0].hex() for one, other in zip(x, y, strict=True)))
        print(*(value.hex() for value in score(x, y, threads=1).values))
        print(*(value.hex() for value in score(x[::-1], y[::-1], threads=5).values[::-1]))


if __name__ == "__main__":
    main()
