"""A message that is written by hand is the one that protobuf would write."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as protocol

from gateway.triton.messages import Tensor, inference, inline, refer
from gateway.triton.slots import Region


@pytest.mark.parametrize("side", [1, 11, 12, 127, 128, 129, 1500])  # lengths of 1 to 4 bytes
async def test_pixels_travel_inside_a_message(side: int) -> None:
    shape = (1, side, side, 1)
    tensors = [Tensor("REFERENCE", shape, 0), Tensor("DISTORTED", shape, side * side)]
    slot = await Region(2 * side * side, shared=False).slot(2 * side * side)
    pixels = np.random.default_rng(side).integers(0, 256, (2, side * side), dtype=np.uint8)
    slot.memory[: pixels.size] = pixels.ravel()
    request = inference("ms_ssim", tensors, ["SCORE"], 3.0, "it", is_urgent=False)

    read = protocol.ModelInferRequest.FromString(inline(request, tensors, slot))
    assert list(read.raw_input_contents) == [each.tobytes() for each in pixels]
    del read.raw_input_contents[:]
    assert read == request


async def test_nothing_of_the_memory_that_was_meant_first_is_left_in_it() -> None:
    tensors = [Tensor("IMAGE", (1, 16, 16, 1), 0)]
    slot = await Region(4096, shared=True).slot(256)
    request = inference("brisque", tensors, ["SCORE"], 3.0, "", is_urgent=True)
    refer(request, tensors, slot)
    slot.region.unlink()
    read = protocol.ModelInferRequest.FromString(inline(request, tensors, slot))
    assert not read.inputs[0].parameters
    assert read.parameters["priority"].int64_param == 1
