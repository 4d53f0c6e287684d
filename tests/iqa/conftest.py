"""The GPU kernels run in these tests on CPU tensors, under the Triton language's interpreter."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def interpreted() -> Iterator[None]:
    """Set while they run, too; `tests.conftest` sets it while modules are imported."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        yield
