"""Compile every GPU kernel without a GPU: `python -m tests.iqa.compile_kernels 90 100`.

A batch is taken through the GPU path on CPU tensors with each launch replaced by a compilation for
the arguments of that launch, once for each architecture. Prints the architecture, the name of each
kernel, the registers of a thread and the bytes of its stack, which takes what they do not hold.
"""

import re
import subprocess
import sys
import tempfile
from importlib import import_module
from typing import Any

import numpy as np
import torch
from triton import compile as compile_kernel
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from iqa.catalogue import METRICS

ARCHITECTURES = sys.argv[1:]
OPTIONS = ("num_warps", "maxnreg")
TYPES = {
    torch.float64: "*fp64",
    torch.float32: "*fp32",
    torch.int64: "*i64",
    torch.int32: "*i32",
    torch.uint16: "*u16",
    int: "i32",
    float: "fp32",
}
compiled_variants: set[str] = set()


def compile_launch(kernel: JITFunction[Any], *arguments: Any, **keywords: Any) -> None:
    given = dict(zip(kernel.arg_names, arguments, strict=False)) | keywords
    constants = {
        parameter.name: given[parameter.name]
        for parameter in kernel.params
        if parameter.is_constexpr
    }
    signature = {}
    for name in kernel.arg_names:
        value = given[name]
        kind = value.dtype if isinstance(value, torch.Tensor) else type(value)
        signature[name] = "constexpr" if name in constants else TYPES[kind]
    options = {name: given[name] for name in OPTIONS if name in given}
    variant = f"{kernel.fn.__module__}.{kernel.__name__} {constants} {options}"
    if variant in compiled_variants:
        return
    compiled_variants.add(variant)
    source = ASTSource(kernel, signature=signature, constexprs=constants)
    for architecture in ARCHITECTURES:
        target = GPUTarget("cuda", int(architecture), 32)
        machine_code = compile_kernel(source, target=target, options=options).asm["cubin"]
        print(architecture, kernel.fn.__module__, kernel.__name__, *resources(machine_code))


def resources(machine_code: bytes) -> tuple[int, int]:
    """Registers and bytes of stack of a thread."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(machine_code)
        file.flush()
        command = [knobs.nvidia.cuobjdump.path, "-res-usage", file.name]
        usage = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    registers, stack = re.findall(r"(?:REG|STACK):(\d+)", usage)
    return int(registers), int(stack)


def main() -> None:
    JITFunction.run = compile_launch
    # What no kernel fills is not 0, so that BRISQUE takes two fits for tied and goes on.
    torch.empty = torch.ones
    image, cpu = np.zeros((161, 161, 3), dtype=np.uint8), "cpu"
    for metric in METRICS:
        gpu = import_module(f"iqa.{metric.name}.gpu")
        gpu.rows([(image,) * len(metric.inputs)], cpu)


if __name__ == "__main__":
    main()
