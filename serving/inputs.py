"""The input tensors of a request, read where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

Inputs = dict[str, Any]
"""The input tensors of a request by name."""


def inputs_of(request: Any) -> Inputs:
    """The inputs that a request gives; some models have ones that are optional."""
    return {tensor.name(): tensor for tensor in request.inputs()}


def images(tensor: Any) -> Any:
    """An input's images `[N, H, W, C]`, in place: on the host, or where Triton has them.

    Not by `as_numpy`: stubs built against NumPy 1 return empty arrays under NumPy 2.
    """
    if tensor.is_cpu():
        return np.from_dlpack(tensor)
    from torch.utils.dlpack import from_dlpack  # pragma: no cover (only where Triton has a GPU)

    return from_dlpack(tensor)  # pragma: no cover
