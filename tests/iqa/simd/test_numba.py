"""What the kernels need of Numba and llvmlite beyond what these promise: why both are bound."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from llvmlite import ir
from numba import float32
from numba.core import cgutils
from numba.core.caching import NullCache
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from packaging.requirements import Requirement

from iqa.simd.cache import KernelCache
from iqa.simd.jit import block_kernel, kernel, row_kernel
from iqa.simd.lanes import Lanes
from iqa.simd.levels import LEVEL

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["numba", "llvmlite"])
def test_only_releases_that_were_tested_are_installed(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (needed,) = [each for each in map(Requirement, project["dependencies"]) if each.name == name]
    assert version(name) in needed.specifier
    major, minor, _ = version(name).split(".")
    assert f"{major}.{int(minor) + 1}" not in needed.specifier


def test_numba_asks_its_configuration_for_the_processor_when_it_compiles() -> None:
    """Else kernels would be for this very processor, and compiled anew on the next one."""
    _, processor, features = cpu_target.target_context.codegen().magic_tuple()
    assert (processor, features) == (LEVEL.cpu, LEVEL.features)


def test_numba_keeps_kernels_where_a_dispatchers_cache_says() -> None:
    """`_cache`, `_impl_class`, `_locator_classes`: else each process would compile."""

    @kernel
    def one(x: float) -> float:
        return x + 1.0

    assert one(1.0) == 2.0
    assert isinstance(one._cache, KernelCache)
    assert one._cache._impl.locator.get_disambiguator().endswith(f"-{LEVEL.name}")
    assert sum(one.stats.cache_hits.values()) + sum(one.stats.cache_misses.values()) == 1


def test_numba_inlines_inner_parts_and_counts_no_references_there() -> None:
    """`forceinline` and `_nrt`: else short rows would be slow."""
    marks = []
    for compiled in (row_kernel, block_kernel):

        @compiled
        def rest(x: np.ndarray) -> float:
            return x[1:].sum()

        @compiled
        def allocates(x: np.ndarray) -> float:
            return np.ones(len(x)).sum()

        rest._cache = NullCache()  # what was read from a cache shows no code
        assert rest(np.ones(5, np.float32)) == 4
        (code,) = rest.inspect_llvm().values()
        marks.append("alwaysinline" in code)
        with pytest.raises(TypingError, match="Only accept returning of array"):
            allocates(np.ones(5, np.float32))
    assert marks == [True, False]


def test_llvmlite_has_vectors_behind_typed_pointers() -> None:
    """`VectorType`, `pointee` and `get_or_insert_function`: what `iqa.simd.lanes` is made of."""
    lanes = Lanes(float32)
    vector = ir.VectorType(ir.FloatType(), lanes.count)
    assert cpu_target.target_context.get_value_type(lanes) == ir.ArrayType(vector, 1)
    assert vector.as_pointer().pointee == vector
    module = ir.Module()
    root = module.declare_intrinsic(
        f"llvm.sqrt.v{lanes.count}f32", fnty=ir.FunctionType(vector, [vector])
    )
    assert cgutils.get_or_insert_function(module, root.function_type, root.name) is root
