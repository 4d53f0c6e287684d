"""Where compiled kernels are kept: beside their sources, or in `NUMBA_CACHE_DIR`.

Numba's own cache has two gaps that matter here. It does not notice a change in a kernel that
another file's kernel calls; and it does not read from a folder that it cannot write to, so that a
container with a read-only file system would compile at every start what was compiled at install.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.runtime.nrt import rtsys

from iqa.simd.levels import level

PACKAGE = Path(__file__).parents[1]


@cache
def _sources_hash() -> str:
    """Of all sources of the package, as any kernel may call any other."""
    digest = hashlib.sha256()
    for source in sorted(PACKAGE.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


class _Locator:
    """Numba's cache locator of one function."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        self._line = function.__code__.co_firstlineno
        self._source = Path(source)
        folder, chosen = self._source.parent, os.environ.get("NUMBA_CACHE_DIR")
        if chosen and folder.is_relative_to(PACKAGE):
            self._folder = Path(chosen, "iqa", folder.relative_to(PACKAGE))
        else:
            self._folder = folder / "__pycache__"

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> _Locator:
        return cls(function, source)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        if self._source.is_relative_to(PACKAGE):
            return _sources_hash()
        return _sources_hash() + hashlib.sha256(self._source.read_bytes()).hexdigest()

    def get_disambiguator(self) -> str:
        return f"{self._line}-{level()}"  # processes of two levels may write at a time

    def ensure_cache_path(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)


class _Kept(CompileResultCacheImpl):
    _locator_classes: list[type[object]] = [_Locator]  # noqa: RUF012 # declared so by Numba


class KernelCache(FunctionCache):
    """The compiled versions of one kernel, for each level that was compiled here.

    Where nothing can be read or written, they just live in memory.
    """

    _impl_class = _Kept

    def load_overload(self, signature: Any, target: Any) -> Any:
        """One compiled version, or None: there is none, or one of sources that have moved since."""
        # All that a kernel from here calls. Numba's own method would load all that compiling takes,
        # which is half of the time in which a model's process starts.
        rtsys.initialize(target)
        with suppress(OSError, ImportError, AttributeError):
            return self._load_overload(signature, target)  # type: ignore[no-untyped-call]
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Save one compiled version."""
        with suppress(OSError):
            super().save_overload(signature, result)  # type: ignore[no-untyped-call] # Numba's
