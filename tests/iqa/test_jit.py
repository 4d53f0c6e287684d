"""Kernels are compiled at warm-up and kept; a folder that cannot be written breaks nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import event

import iqa
from iqa import brisque, ms_ssim
from iqa.jit import FAST_MATH, kernel
from iqa.warm_up import warm_up

COMPILES = "numba:compile"
REPORT = """
import sys
import numpy as np
from numba.core import event
from iqa import brisque
image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
with event.install_recorder("numba:compile") as compilations:
    score = brisque.score([image]).values[0]
print(len(compilations.buffer), repr(float(score)))
"""


def test_nothing_is_compiled_after_the_warm_up() -> None:
    warm_up()
    random = np.random.default_rng(0)
    with event.install_recorder(COMPILES) as compilations:
        for height, width, channels in [(170, 180, 3), (171, 180, 3), (170, 181, 1), (701, 163, 1)]:
            image = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
            other = np.frombuffer(image[::-1].tobytes(), np.uint8).reshape(image.shape)
            brisque.score([image, other, image[::-1, ::-1]])
            ms_ssim.score([image, other], [other, image])
    assert compilations.buffer == []


def run(package_parent: Path, **environment: str) -> tuple[int, str]:
    """How many compilations one score takes in a new process, and the score."""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    result = subprocess.run(
        [sys.executable, "-B", "-c", REPORT],
        env={**kept, "PYTHONPATH": str(package_parent), **environment},
        cwd=package_parent,
        capture_output=True,
        text=True,
        check=True,
    )
    compilations, score = result.stdout.split()
    return int(compilations), score


def copy_of_the_package(folder: Path) -> Path:
    assert iqa.__file__ is not None
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(iqa.__file__).parent, folder / "iqa", ignore=ignored)
    return folder


def make_read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.access(folder, os.W_OK):  # the superuser writes anywhere, but not into a file
        for cache in list(folder.rglob("__pycache__")) or [
            path / "__pycache__" for path in (folder, folder / "brisque")
        ]:
            if not cache.exists():
                cache.write_text("a file where a folder would be")


def test_where_nothing_can_be_written_kernels_are_compiled_in_memory(tmp_path: Path) -> None:
    package = copy_of_the_package(tmp_path)
    make_read_only(package / "iqa")
    compilations, score = run(package, HOME="/nonexistent")
    assert compilations > 0
    assert score == run(package, HOME="/nonexistent")[1]


def test_what_was_compiled_is_read_again_and_not_once_a_source_has_changed(tmp_path: Path) -> None:
    package = copy_of_the_package(tmp_path)
    compilations, score = run(package)
    assert compilations > 0
    again, same = run(package)
    assert again == 0
    assert float(same) == pytest.approx(float(score), abs=1e-5)

    chosen = tmp_path / "kernels"
    assert run(package, NUMBA_CACHE_DIR=str(chosen))[0] > 0
    make_read_only(chosen)
    assert run(package, NUMBA_CACHE_DIR=str(chosen))[0] == 0

    with (package / "iqa" / "brisque" / "cpu_sums.py").open("a") as source:
        source.write("# changed\n")
    assert run(package)[0] > 0


def test_another_processor_compiles_for_itself(tmp_path: Path) -> None:
    package = copy_of_the_package(tmp_path)
    assert run(package)[0] > 0
    assert run(package, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")[0] > 0
    assert run(package)[0] == 0


def test_quotients_roots_and_nan_are_exact_under_the_fast_math_flags() -> None:
    assert not FAST_MATH & {"fast", "nnan", "ninf", "arcp", "afn"}

    @kernel
    def quotient(numerator: float, denominator: float) -> float:
        return numerator / denominator

    assert np.isnan(quotient(0.0, 0.0))
    assert quotient(1.0, 3.0) == pytest.approx(1 / 3, rel=0, abs=0)
