"""A service that is meant to be hurt, and what it is asked meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perf.load.exchanges import Exchange, mixed
from tests.conftest import RunningService, running

THEIR_METRICS = "--metrics=brisque,ms_ssim"  # of the exchanges


@pytest.fixture(scope="package")
def exchanges() -> list[Exchange]:
    """Requests and their answers."""
    return mixed()


@pytest.fixture(scope="package")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with so little shared memory that slots change hands all the time."""
    log = tmp_path_factory.mktemp("victim") / "log"
    limits = {"IQA_SHM_MEGABYTES": "4", "IQA_HEADER_TIMEOUT": "1"}
    with running(log, "--workers=2", THEIR_METRICS, **limits) as service:
        yield service
