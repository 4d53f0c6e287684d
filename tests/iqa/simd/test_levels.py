"""Kernels are compiled for a level of the instruction set, which can be named."""

from __future__ import annotations

import os
import subprocess
import sys

from iqa.simd import level
from iqa.simd.levels import LEVEL, available


def scored(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import iqa.simd", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_highest_level_is_taken_unless_one_is_named() -> None:
    named = os.environ.get("IQA_SIMD_LEVEL")
    assert level() == LEVEL.name == (named or available()[0].name)
    assert LEVEL in available()


def test_a_level_that_is_not_there_is_refused_in_a_sentence() -> None:
    refused = scored(IQA_SIMD_LEVEL="v9")
    assert refused.returncode != 0
    assert f"IQA_SIMD_LEVEL is 'v9'; this machine has {available()[0].name}" in refused.stderr
