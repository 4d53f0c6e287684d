"""The input tensors of a request, read where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


def images(request: Any, name: str) -> Any:
    """The input's images `[N, H, W, C]`, in place: on the host, or where Triton has them.

    Not by `as_numpy`: stubs built against NumPy 1 return empty arrays under NumPy 2.
    """
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor.is_cpu():
        return np.from_dlpack(tensor)
    from torch.utils.dlpack import from_dlpack  # pragma: no cover (only where Triton has a GPU)

    return from_dlpack(tensor)  # pragma: no cover
