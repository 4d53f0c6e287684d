"""What a Triton that others reach asks for is known to those alone who may know it."""

from __future__ import annotations

import os
from pathlib import Path

from launcher.family import _new_key


def test_each_start_has_a_key_of_its_own_that_no_other_user_can_read(tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    before = os.umask(0)
    try:
        keys = [_new_key(file) for file in files]
    finally:
        os.umask(before)
    assert [file.read_text() for file in files] == keys
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert keys[0] != keys[1]
    assert min(map(len, keys)) == 32  # hexadecimal digits: 128 bits
