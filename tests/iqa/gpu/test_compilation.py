"""The GPU kernels compile to machine code; the interpreter accepts what the compiler may not."""

import os
import subprocess
import sys

import pytest


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
    assert [name for name, _, _ in compiled] == [
        *["weights_kernel", "moments_kernel", "moments_kernel", "reduce_kernel", "scores_kernel"],
        *["similarity_kernel"] * 3,
        *["reduce_kernel", "pool_kernel"],
    ]
    assert max(int(stack) for _, _, stack in compiled) <= stack_bytes
