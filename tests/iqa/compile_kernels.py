"""Compile every GPU kernel for Hopper, without a GPU: `python -m tests.iqa.compile_kernels`.

A batch is taken through the GPU path on CPU tensors with each launch replaced by a compilation for
the arguments of that launch. Prints the name of each kernel and the size of its machine code.
"""

from typing import Any

import numpy as np
import torch
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from iqa.brisque import gpu as brisque_gpu
from iqa.ms_ssim import gpu as ms_ssim_gpu

HOPPER = GPUTarget("cuda", 90, 32)
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
    source = ASTSource(kernel, signature=signature, constexprs=constants)
    compiled = compile_kernel(source, target=HOPPER, options=options)
    print(kernel.__name__, len(compiled.asm["cubin"]))


def main() -> None:
    JITFunction.run = compile_launch
    images = [np.zeros((161, 161, 3), dtype=np.uint8)]
    cpu = torch.device("cpu")
    brisque_gpu._run(images, cpu)
    ms_ssim_gpu._run(images * 2, cpu)


if __name__ == "__main__":
    main()
