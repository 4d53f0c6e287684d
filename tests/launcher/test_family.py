"""What the processes of the service are told when they start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.family import FEW_GRPC_THREADS, _new_key


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


@pytest.mark.parametrize("known", [True, False])
def test_grpc_knows_what_it_is_told_of_its_threads(known: bool) -> None:
    """Where it does not, the line goes from the workers' environment."""
    variables = FEW_GRPC_THREADS if known else {"GRPC_EXPERIMENTS": "-no_such_thing"}
    code = "import grpc; grpc.insecure_channel('127.0.0.1:1').close()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("Unknown experiment" in run.stderr) is not known
