from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput

from perf.ports import free_ports
from tests.integration.several_tritons import Triton, write_backend

pytestmark = pytest.mark.server

MODEL = """
import numpy as np
import triton_python_backend_utils as pb

from serving.inputs import images, inputs_of

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        pixels = images(inputs_of(request)["IMAGE"])
        again = images(inputs_of(request)["IMAGE"])  # at the same place: neither is a copy
        found = np.array([[pixels.ctypes.data, again.ctypes.data, pixels.sum()]], np.int64)
        return pb.InferenceResponse([pb.Tensor.from_dlpack("FOUND", found)])
"""
CONFIG = """
backend: "python"
max_batch_size: 8
input [ { name: "IMAGE" data_type: TYPE_UINT8 dims: [ -1, -1, -1 ] } ]
output [ { name: "FOUND" data_type: TYPE_INT64 dims: [ 3 ] } ]
instance_group [ { kind: KIND_CPU } ]
"""


def test_inputs_are_read_where_they_lie(tmp_path: Path) -> None:
    version = tmp_path / "models/inputs/1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(MODEL)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    write_backend(tmp_path / "backends")
    pixels = np.random.default_rng(1).integers(0, 256, (1, 40, 50, 3), dtype=np.uint8)
    tensor = InferInput("IMAGE", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    triton = Triton(tmp_path, free_ports(3)[0], host="127.0.0.9")
    triton.start()
    try:
        client = InferenceServerClient(triton.address)
        for _ in range(3):
            once, again, total = client.infer("inputs", [tensor]).as_numpy("FOUND")[0]
            assert once == again
            assert total == pixels.sum()
    finally:
        triton.stop()
