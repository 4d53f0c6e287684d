"""The GPU kernels compile to machine code; the interpreter accepts what the compiler may not."""

import os
import subprocess
import sys


def test_every_kernel_compiles_for_hopper() -> None:
    # A process of its own: whether kernels are interpreted is settled when they are imported.
    environment = os.environ | {"TRITON_INTERPRET": "0"}
    finished = subprocess.run(
        [sys.executable, "-m", "tests.iqa.compile_kernels"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    compiled = [line.split() for line in finished.stdout.splitlines()]
    assert [name for name, _ in compiled] == [
        *["weights_kernel", "moments_kernel", "moments_kernel", "reduce_kernel", "scores_kernel"],
        *["similarity_kernel"] * 5,
        *["reduce_kernel", "pool_kernel"],
    ]
    assert all(int(size) > 0 for _, size in compiled)
