"""Every file of the hostile corpus gives its pixels or its code; the service is asked elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from decoding import DecodingError, read
from decoding.pictures import Pixels
from tests.hostile.corpus import Entry


def outcome(file: bytes) -> Pixels | str:
    try:
        return read(file)
    except DecodingError as error:
        return error.code


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_each_file_gives_its_pixels_or_its_code(entries: Sequence[Entry]) -> None:
    wrong = {}
    for entry in entries:
        found = outcome(entry.file)
        # A file without contrast is sound here: only its score is undefined.
        if isinstance(entry.expected, str) and entry.expected != "score_undefined":
            if not isinstance(found, str) or found != entry.expected:
                wrong[entry.name] = found if isinstance(found, str) else found.shape
        elif isinstance(found, str):
            wrong[entry.name] = found
        elif not isinstance(entry.expected, str) and not np.array_equal(found, entry.expected):
            wrong[entry.name] = f"{np.abs(found - entry.expected.astype(int)).max()} off"
    assert not wrong
