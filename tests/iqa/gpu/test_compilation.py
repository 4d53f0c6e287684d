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


# Bytes of stack that the kernels may take on Ampere, Hopper and Blackwell: the oldest, the one that
# they are tuned for, the newest.
STACK = {"80": 64, "90": 0, "100": 64}


@pytest.fixture(scope="module")
def compiled() -> list[list[str]]:
    """Of each kernel: architecture, module, name, registers, bytes of stack."""
    # A process of its own: whether kernels are interpreted is settled when they are imported.
    finished = subprocess.run(
        [sys.executable, "-m", "tests.iqa.compile_kernels", *STACK],
        env=os.environ | {"TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [line.split() for line in finished.stdout.splitlines()]


@pytest.mark.parametrize("architecture", STACK)
def test_every_kernel_compiles_and_its_registers_suffice(
    compiled: list[list[str]], architecture: str
) -> None:
    lines = [rest for found, *rest in compiled if found == architecture]
    assert {(module, name) for module, name, _, _ in lines} == set(kernels())
    assert max(int(stack) for _, _, _, stack in lines) <= STACK[architecture]
