"""A little of the fuzzing that goes on for ten minutes elsewhere."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server

RUNS = 1500  # some seconds; a sixth are the files of the corpus
HAS_WHEEL = sys.version_info < (3, 14) and platform.machine() == "x86_64"


@pytest.mark.skipif(
    not HAS_WHEEL and importlib.util.find_spec("atheris") is None,
    reason="atheris has no wheel for this Python or machine",
)
def test_a_little_fuzzing_finds_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.hostile.fuzz_decoding", f"--runs={RUNS}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    executions = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    assert executions
    assert int(executions[1]) >= RUNS
