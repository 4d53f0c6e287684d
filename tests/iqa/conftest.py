"""The GPU kernels run in these tests on CPU tensors, under the Triton language's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from triton.runtime.interpreter import InterpretedFunction


def prepared_once() -> Callable[..., Any]:
    """How a kernel calls a function, without looking through the whole language at each call.

    The interpreter does that, for half of its time. Once for each function is enough.
    """
    first_call = InterpretedFunction.__call__
    known: set[InterpretedFunction[Any]] = set()

    def call(function: InterpretedFunction[Any], *arguments: Any, **options: Any) -> Any:
        if function in known:
            return function.rewrite()(*arguments, **options)
        known.add(function)
        return first_call(function, *arguments, **options)

    return call


@pytest.fixture(scope="package", autouse=True)
def interpreted() -> Iterator[None]:
    """Set while they run, too; `tests.conftest` sets it while modules are imported."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        monkeypatch.setattr(InterpretedFunction, "__call__", prepared_once())
        yield
