"""The GPU kernels run in these tests on CPU tensors, under the Triton language's interpreter."""

import os
from collections.abc import Iterator

import pytest

# Read when the kernels' modules are imported, so it has to be set before any test is; and again
# while they run. In between are other folders' tests, whose servers may use a real GPU.
os.environ["TRITON_INTERPRET"] = "1"


def pytest_collection_finish() -> None:
    del os.environ["TRITON_INTERPRET"]


@pytest.fixture(scope="session", autouse=True)
def interpreted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        yield
