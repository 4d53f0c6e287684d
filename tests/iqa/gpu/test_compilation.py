"""The GPU kernels compile to machine code; the interpreter accepts what the compiler may not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import iqa


def kernels() -> list[tuple[str, str]]:
    """Module and name of every GPU kernel there is."""
    sources = Path(iqa.__path__[0]).glob("*/gpu/*.py")
    return [
        (f"iqa.{source.parts[-3]}.gpu.{source.stem}", name)
        for source in sources
        for name in re.findall(r"^def (\w+_kernel)\(", source.read_text(), re.MULTILINE)
    ]


# Ampere, Hopper and Blackwell: the oldest, the one that the kernels are tuned for, the newest.
@pytest.mark.parametrize(("architecture", "stack_bytes"), [("80", 64), ("90", 0), ("100", 64)])
def test_every_kernel_compiles_and_its_registers_suffice(
    architecture: str, stack_bytes: int
) -> None:
    # A process of its own: whether kernels are interpreted is settled when they are imported.
    environment = os.environ | {"TRITON_INTERPRET": "0"}
    finished = subprocess.run(
        [sys.executable, "-m", "tests.iqa.compile_kernels", architecture],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    compiled = [line.split() for line in finished.stdout.splitlines()]
    assert {(module, name) for module, name, _, _ in compiled} == set(kernels())
    assert max(int(stack) for _, _, _, stack in compiled) <= stack_bytes
