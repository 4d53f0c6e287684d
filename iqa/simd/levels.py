"""Which vectors the kernels are compiled for: a level of the instruction set, not one processor.

What is compiled when an image is built or a package installed then runs on every machine of that
level. `IQA_SIMD_LEVEL` chooses another level than the highest that this machine has.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from llvmlite import binding
from numba.core import config


@dataclass(frozen=True)
class Level:
    """One level.

    Attributes:
        name: "v2", "v3" and "v4" are those of the x86-64 psABI.
        cpu, features: what LLVM calls it.
        vector_bytes: size of its vectors.
        needs: LLVM's names of what a processor must have, where that is not taken for granted.
    """

    name: str
    cpu: str
    features: str
    vector_bytes: int
    needs: tuple[str, ...]


_V2 = ("sse4.2", "ssse3", "popcnt", "cx16")
_V3 = (*_V2, "avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

# The highest first. LLVM splits vectors of 512 bits into halves unless it is told not to.
LEVELS: Mapping[str, tuple[Level, ...]] = {
    "x86_64": (
        Level("v4", "x86-64-v4", "-prefer-256-bit", 64, _V4),
        Level("v3", "x86-64-v3", "", 32, _V3),
        Level("v2", "x86-64-v2", "", 16, _V2),
    ),
    "aarch64": (Level("arm64", "generic", "", 16, ()),),
}
_ALIASES = {"AMD64": "x86_64", "arm64": "aarch64"}


def available() -> tuple[Level, ...]:
    """The levels that this machine has, the highest first."""
    machine = platform.machine()
    has = binding.get_host_cpu_features()
    return tuple(
        level
        for level in LEVELS.get(_ALIASES.get(machine, machine), ())
        if all(has.get(feature, False) for feature in level.needs)
    )


def _chosen() -> Level:
    levels = available()
    if not levels:
        raise RuntimeError(f"the CPU kernels know no level of this processor: {platform.machine()}")
    wanted = os.environ.get("IQA_SIMD_LEVEL")
    if not wanted:
        return levels[0]
    for each in levels:
        if each.name == wanted:
            return each
    names = ", ".join(each.name for each in levels)
    raise RuntimeError(f"IQA_SIMD_LEVEL is {wanted!r}; this machine has {names}")


LEVEL = _chosen()
# Numba asks when it first compiles something. A process that has done so before it imports `iqa`
# gets code for its very processor, which Numba keeps apart from that for a level.
vars(config).update(CPU_NAME=LEVEL.cpu, CPU_FEATURES=LEVEL.features)


def level() -> str:
    """Name of the level that this process compiles for: "v4", "v3", "v2" or "arm64"."""
    return LEVEL.name
