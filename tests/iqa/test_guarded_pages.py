"""Kernels read nothing outside an image, whose neighbours in memory may not exist."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "size",
    [
        (1100, 3000, 3),
        (177, 301, 3),
        (256, 256, 1),
        (162, 193, 1),
        (17, 16, 3),
        (16, 17, 1),
        (12, 11, 3),
        (2, 1, 3),
    ],
    ids=str,
)
def test_an_image_between_pages_that_nobody_may_touch(size: tuple[int, int, int]) -> None:
    command = [sys.executable, "-m", "tests.iqa.guarded_pages", *map(str, size)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
