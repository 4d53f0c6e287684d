"""The input tensors of a request, read where they lie."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy._core import multiarray

NEW_COPY = 85  # of PyArray_NewCopy in NumPy's C API, whose order never changes

_function_table = ctypes.pythonapi.PyCapsule_GetPointer
_function_table.argtypes = (ctypes.py_object, ctypes.c_char_p)
_function_table.restype = ctypes.c_void_p


def images(request: Any, name: str) -> Any:
    """The input's images `[N, H, W, C]`, in place: on the host, or where Triton has them.

    Not by `as_numpy`: stubs built against NumPy 1 return empty arrays under NumPy 2.
    """
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor.is_cpu():
        return np.from_dlpack(tensor)
    from torch.utils.dlpack import from_dlpack

    return from_dlpack(tensor)


def spare_copies() -> None:
    """Keep the stub from copying every input for `as_numpy`, which no model here calls.

    It copies when a request comes, through pybind11, which takes the functions that it needs from
    NumPy's table when it meets the first array. Here it meets one, and is given, to copy, what
    returns the array itself. To be called before the first request; later it changes nothing.
    """
    address = _function_table(multiarray._ARRAY_API, None)
    table = ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))
    copy = table[NEW_COPY]
    table[NEW_COPY] = ctypes.cast(ctypes.pythonapi.Py_NewRef, ctypes.c_void_p).value
    try:
        with suppress(TypeError):  # it looks whether None is an array
            pb_utils.Tensor("", None)
    finally:
        table[NEW_COPY] = copy
