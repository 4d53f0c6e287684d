"""How kernels are compiled: the one place that names Numba's options and fast-math flags."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reordered and multiply-adds fused, so that inner loops vectorise. Not `nnan`, `ninf`
# or `afn`: a kernel must see the nan it makes, and its quotients and roots are the exact ones.
FAST_MATH = {"reassoc", "contract", "nsz"}


def kernel(function: Function) -> Function:
    """Compile on first call, without the GIL; kept on disk where any cache folder is writable."""
    compiled = partial(njit, nogil=True, fastmath=FAST_MATH, error_model="numpy")
    try:
        return cast(Function, compiled(cache=True)(function))
    except RuntimeError:  # no folder to cache in, as on a read-only file system
        return cast(Function, compiled()(function))
