"""The corpus, made once for each file of tests."""

from __future__ import annotations

import pytest

from tests.hostile.corpus import Entry, corpus


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return corpus()
