"""How kernels are compiled: the one place that names Numba's options and fast-math flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

from iqa.simd.cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reordered and multiply-adds fused, so that inner loops vectorise. Not `nnan`, `ninf`,
# `arcp` or `afn`: a kernel must see the nan it makes, and quotients and roots are the exact ones.
FAST_MATH = {"reassoc", "contract", "nsz"}


def kernel(function: Function) -> Function:
    """Compile on first call, without the GIL; kept on disk, see `iqa.simd.cache`."""
    return _compiled(function)


def row_kernel(function: Function) -> Function:
    """The same for inner parts of a kernel, which are called for every row and allocate nothing.

    They become part of their callers, as handing over views of arrays takes as long as many pixels.

    Without allocation the views that they take of arrays need no reference counts, and each of
    those would be an atomic operation: a quarter of the time of a short row.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def ordered_row_kernel(function: Function) -> Function:
    """The same as `row_kernel`, but every sum is rounded in the order in which it is written.

    `x - level - mean` is more exact than `x - (level + mean)`, which LLVM may take instead.
    """
    return _compiled(function, fastmath=FAST_MATH - {"reassoc"}, _nrt=False, forceinline=True)


def block_kernel(function: Function) -> Function:
    """Like `kernel`, without allocation: loops over many pixels, which LLVM compiles best alone."""
    # Said, as Numba would else inherit it from a row kernel that calls this one.
    return _compiled(function, _nrt=False, forceinline=False)


def _compiled(function: Function, **own: Any) -> Function:
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": FAST_MATH,
        "error_model": "numpy",
        **own,
    }
    compiled: Any = njit(**options)(function)
    compiled._cache = KernelCache(function)  # type: ignore[no-untyped-call] # its base is Numba's
    return compiled
