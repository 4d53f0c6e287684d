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

from iqa.catalogue import METRICS
from iqa.simd import cache as jit_cache
from iqa.simd import jit, levels
from iqa.simd.jit import FAST_MATH, kernel
from iqa.warm_up import warm_up

needs_two_levels = pytest.mark.skipif(
    len(levels.available()) < 2, reason="this machine has one level"
)
COMPILES = "numba:compile"
SOURCES = {
    "__init__.py": "",
    "inner.py": """
from iqa.simd.jit import row_kernel

@row_kernel
def twice(x):
    return 2.0 * x
""",
    "outer.py": """
from numba.core import event
from iqa.inner import twice
from iqa.simd.jit import kernel

@kernel
def four_times(x):
    return twice(twice(x))

with event.install_recorder("numba:compile") as compilations:
    result = four_times(3.0)
print(len(compilations.buffer), result)
""",
}

# Calls a kernel that may be kept, says whether that took Numba's compiler, then compiles another.
LATER = """
import sys
from contextlib import redirect_stdout

import numpy as np
from numba import njit

with redirect_stdout(sys.stderr):
    import iqa.outer
print(int("numba.np.linalg" in sys.modules), njit(lambda x: np.ones(3).sum() * x)(4.0))
"""


def test_nothing_is_compiled_after_the_warm_up() -> None:
    warm_up()
    random = np.random.default_rng(0)
    with event.install_recorder(COMPILES) as compilations:
        for height, width, channels in [(170, 180, 3), (171, 180, 3), (170, 181, 1), (701, 163, 1)]:
            image = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
            other = np.frombuffer(image[::-1].tobytes(), np.uint8).reshape(image.shape)
            for metric in METRICS:
                lists = [[image, other, image[::-1, ::-1]], [other, image, image]]
                metric.score(*lists[: len(metric.inputs)], maps=True)
    assert compilations.buffer == []


def run(folder: Path, module: str = "iqa.outer", **environment: str) -> tuple[bool, float]:
    """Whether a new process that runs the small package compiles something, and its result."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NUMBA_", "IQA_SIMD"))
    }
    output = subprocess.run(
        [sys.executable, "-B", "-m", module],
        env={**kept, "PYTHONPATH": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    compilations, result = output.split()
    return int(compilations) > 0, float(result)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package with our way of compiling, in a folder of its own."""
    folder = tmp_path / "iqa"
    (folder / "simd").mkdir(parents=True)
    (folder / "simd" / "__init__.py").touch()
    for module in (jit, jit_cache, levels):
        assert module.__file__ is not None
        shutil.copy(module.__file__, folder / "simd")
    for name, source in SOURCES.items():
        (folder / name).write_text(source)
    return tmp_path


def test_compiled_kernels_are_read_again(package: Path) -> None:
    assert run(package) == (True, 12.0)
    assert run(package) == (False, 12.0)


def test_a_change_in_a_called_kernel_is_noticed(package: Path) -> None:
    run(package)
    inner = package / "iqa" / "inner.py"
    inner.write_text(inner.read_text().replace("2.0", "3.0"))
    assert run(package) == (True, 27.0)


def test_who_reads_kernels_loads_nothing_of_the_compiler_until_one_is_missing(
    package: Path,
) -> None:
    (package / "iqa" / "later.py").write_text(LATER)
    assert run(package, "iqa.later") == (True, 12.0)
    assert run(package, "iqa.later") == (False, 12.0)


@needs_two_levels
def test_another_level_compiles_for_itself(package: Path) -> None:
    run(package)
    other = {"IQA_SIMD_LEVEL": levels.available()[1].name}
    assert run(package, **other) == (True, 12.0)
    assert run(package, **other) == (False, 12.0)
    assert run(package) == (False, 12.0)


def test_kernels_are_read_from_a_folder_that_cannot_be_written(package: Path) -> None:
    kernels = package / "kernels"
    chosen = {"NUMBA_CACHE_DIR": str(kernels)}
    run(package, **chosen)
    for path in (*kernels.rglob("*"), kernels):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert run(package, **chosen) == (False, 12.0)
    for each in levels.available()[1:]:
        another = {"IQA_SIMD_LEVEL": each.name}
        assert run(package, **chosen, **another) == (True, 12.0)


def test_where_there_is_no_folder_kernels_are_compiled_in_memory(package: Path) -> None:
    (package / "iqa" / "__pycache__").write_text("a file, so that not even root can write here")
    for _ in range(2):
        assert run(package, HOME="/nonexistent") == (True, 12.0)


def test_quotients_roots_and_nan_are_exact_under_the_fast_math_flags() -> None:
    assert not FAST_MATH & {"fast", "nnan", "ninf", "arcp", "afn"}

    @kernel
    def quotient(numerator: float, denominator: float) -> float:
        return numerator / denominator

    assert np.isnan(quotient(0.0, 0.0))
    assert quotient(1.0, 3.0) == pytest.approx(1 / 3, rel=0, abs=0)
