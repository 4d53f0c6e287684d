"""Runs a program at another level of the instruction set, which a process chooses but once."""

from __future__ import annotations

import os
import subprocess
import sys


def lines_at_level(module: str, level: str) -> list[str]:
    """What `python -m module` prints there, but for the name of the level, which comes first."""
    finished = subprocess.run(
        [sys.executable, "-m", module],
        env={**os.environ, "IQA_SIMD_LEVEL": level},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    name, *lines = finished.stdout.splitlines()
    assert name == level
    return lines
