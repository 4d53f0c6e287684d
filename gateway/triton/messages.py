"""What Triton is asked and what it answers: the messages of its inference protocol."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as protocol

from gateway.triton.slots import Slot

DATA_TYPES = {"FP32": np.dtype("<f4")}
FILE = "_FILE"  # ends the names of inputs that take a file in the place of pixels
RAW_INPUT = bytes([protocol.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER << 3 | 2])  # its tag
URGENT = 1  # of the models' two levels of priority; all other requests are of the second one
Outputs = dict[str, NDArray[np.float32]]  # by name


class Tensor(NamedTuple):
    """A uint8 input: its name, its shape `[N, ...]`, where in a slot its bytes begin."""

    name: str
    shape: tuple[int, ...]
    start: int


def put_files(inputs: Sequence[str], contents: Sequence[memoryview], slot: Slot) -> list[Tensor]:
    """Copy image files into a slot, for those twins of a model's inputs that take them."""
    tensors, start = [], 0
    for name, content in zip(inputs, contents, strict=True):
        end = start + len(content)
        slot.memory[start:end] = np.frombuffer(content, np.uint8)
        tensors.append(Tensor(name + FILE, (1, len(content)), start))
        start = end
    return tensors


def inference(
    model: str,
    tensors: Sequence[Tensor],
    outputs: Sequence[str],
    timeout: float,
    request_id: str,
    *,
    is_urgent: bool,
) -> protocol.ModelInferRequest:
    """A request that lacks the bytes of its inputs; see `TritonClient.infer`."""
    request = protocol.ModelInferRequest(model_name=model, id=request_id)
    request.parameters["timeout"].int64_param = int(timeout * 1e6)
    if is_urgent:
        request.parameters["priority"].int64_param = URGENT
    for tensor in tensors:
        request.inputs.add(name=tensor.name, datatype="UINT8", shape=tensor.shape)
    for name in outputs:
        request.outputs.add(name=name)
    if "MAP" in outputs:
        request.parameters["map"].bool_param = True
    return request


def has_map(request: protocol.ModelInferRequest) -> bool:
    """Whether the answer will have as many numbers as the picture has pixels."""
    return "map" in request.parameters


def refer(request: protocol.ModelInferRequest, tensors: Sequence[Tensor], slot: Slot) -> None:
    """Point the inputs at the slot's shared memory."""
    for given, tensor in zip(request.inputs, tensors, strict=True):
        given.parameters["shared_memory_region"].string_param = slot.region.key
        given.parameters["shared_memory_offset"].int64_param = slot.offset + tensor.start
        given.parameters["shared_memory_byte_size"].int64_param = prod(tensor.shape)


def inline(request: protocol.ModelInferRequest, tensors: Sequence[Tensor], slot: Slot) -> bytes:
    """The request on the wire with the slot's pixels in it.

    Protobuf would copy them three times and let no other thread run meanwhile, the event loop's
    neither. A message may be written as two, one after the other, and `join` of large buffers
    holds nobody up.
    """
    for given in request.inputs:
        given.parameters.clear()
    parts: list[bytes | memoryview] = [request.SerializeToString()]
    for tensor in tensors:
        end = tensor.start + prod(tensor.shape)
        pixels = slot.memory[tensor.start : end].data
        parts += [RAW_INPUT, _varint(len(pixels)), pixels]
    return b"".join(parts)


def outputs_of(response: protocol.ModelInferResponse) -> Outputs:
    """The outputs `[N, ...]`."""
    return {
        output.name: np.frombuffer(raw, DATA_TYPES[output.datatype]).reshape(output.shape)
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def _varint(number: int) -> bytes:
    """Seven bits in a byte, the lowest first; the eighth says that more follow."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])
