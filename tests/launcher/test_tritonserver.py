"""Which tritonserver is run, and what is said where it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher import tritonserver
from launcher.failure import LaunchError


def test_a_missing_libpython_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: str(tmp_path))
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"libpython3\.\d+\.so\.1\.0 is missing: install it"):
        tritonserver.find(tmp_path)


@pytest.mark.parametrize(("cores", "models"), [(1, 1), (2, 1), (5, 2), (8, 4)])
def test_no_more_of_the_models_processes_start_at_once_than_there_are_cores(
    cores: int, models: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    endpoints = tritonserver.Endpoints("127.0.0.1", 1, 2, 3)
    command = tritonserver.TritonServer("t").command(Path("models"), endpoints, "memory-", None)
    assert f"--model-load-thread-count={models}" in command


def test_a_tritonserver_on_the_path_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tritonserver"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for help_text, expected in (("--allow-client-shm", True), ("--grpc-port", False)):
        program.write_text(f"#!/bin/sh\necho '{help_text} <boolean>' >&2\nexit 1\n")
        program.chmod(0o755)
        found = tritonserver.find(tmp_path)
        assert found.binary == str(program)
        assert ("--allow-client-shm=true" in found.arguments) is expected
