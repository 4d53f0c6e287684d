"""What Triton is asked and what it answers: the messages of its inference protocol."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as protocol

from gateway.slots import Slot

Tensor = tuple[str, tuple[int, ...]]

DATA_TYPES = {"FP32": np.dtype("<f4")}


def inference(
    model: str,
    tensors: Sequence[Tensor],
    outputs: Sequence[str],
    timeout: float,
    request_id: str,
) -> protocol.ModelInferRequest:
    """A request that lacks its pixels; see `TritonClient.infer`."""
    request = protocol.ModelInferRequest(model_name=model, id=request_id)
    request.parameters["timeout"].int64_param = int(timeout * 1e6)
    for name, shape in tensors:
        request.inputs.add(name=name, datatype="UINT8", shape=(1, *shape))
    for name in outputs:
        request.outputs.add(name=name)
    if "MAP" in outputs:
        request.parameters["map"].bool_param = True
    return request


def refer(request: protocol.ModelInferRequest, slot: Slot) -> None:
    """Point the inputs at the slot's shared memory."""
    offset = slot.offset
    for tensor in request.inputs:
        size = prod(tensor.shape)
        tensor.parameters["shared_memory_region"].string_param = slot.region.key
        tensor.parameters["shared_memory_offset"].int64_param = offset
        tensor.parameters["shared_memory_byte_size"].int64_param = size
        offset += size


def inline(request: protocol.ModelInferRequest, slot: Slot) -> None:
    """Copy the slot's pixels into the request."""
    start = 0
    for tensor in request.inputs:
        end = start + prod(tensor.shape)
        tensor.parameters.clear()
        request.raw_input_contents.append(slot.memory[start:end].tobytes())
        start = end


def outputs_of(response: protocol.ModelInferResponse) -> dict[str, NDArray[np.float32]]:
    """The outputs by name, without the batch dimension."""
    return {
        output.name: np.frombuffer(raw, DATA_TYPES[output.datatype]).reshape(output.shape[1:])
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }
