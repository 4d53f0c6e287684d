"""The corpus, made once."""

from __future__ import annotations

import pytest

from tests.hostile.corpus import Entry, corpus


@pytest.fixture(scope="package")
def entries() -> list[Entry]:
    return corpus()
