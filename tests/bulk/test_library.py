"""What the library alone needs, and that it reads files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement

import decoding
import iqa
from tests.bulk.conftest import write_picture

ROOT = Path(__file__).parents[2]
BLOCKED = ["fastapi", "starlette", "uvicorn", "tritonclient", "grpc", "pydantic", "fsspec"]
BLOCKED += ["pyarrow", "ray", "rich", "torch"]


def test_read_decodes_as_the_service_does(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 3)
    pixels = iqa.read(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels, iqa.read((tmp_path / "a.png").read_bytes()))
    np.testing.assert_array_equal(pixels, decoding.read(tmp_path / "a.png"))
    assert pixels.shape == (176, 176, 3)


def test_the_library_alone_needs_no_server(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 3)
    code = f"""
import sys
sys.modules.update(dict.fromkeys({BLOCKED!r}))  # an import of None fails
import iqa
print(iqa.brisque.score([iqa.read({str(tmp_path / "a.png")!r})]).values[0])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    expected = iqa.brisque.score([iqa.read(tmp_path / "a.png")]).values[0]
    assert float(run.stdout) == expected


def test_servers_are_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {Requirement(line).name for line in project["dependencies"]}
    assert not needed & set(BLOCKED)
    serve = {Requirement(line).name for line in project["optional-dependencies"]["serve"]}
    assert {"fastapi", "uvicorn", "tritonclient"} <= serve
