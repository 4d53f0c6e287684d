"""Kernels read nothing outside an image, whose neighbours in memory may not exist."""

from __future__ import annotations

import subprocess
import sys


def test_images_between_pages_that_nobody_may_touch() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.iqa.guarded_pages"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
