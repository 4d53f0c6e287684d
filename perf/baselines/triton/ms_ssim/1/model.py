"""A Triton model that calls piq once per request."""

import numpy as np
import triton_python_backend_utils as pb_utils

from perf.baselines.piq_scores import score

INPUTS = ("REFERENCE", "DISTORTED")


class TritonPythonModel:
    """Scores one picture or pair `[1, H, W, C]` a request."""

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Answer the requests one after the other."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        tensors = [pb_utils.get_input_tensor_by_name(request, name) for name in INPUTS]
        value = score("ms_ssim", *(tensor.as_numpy()[0] for tensor in tensors))
        output = pb_utils.Tensor("SCORE", np.array([[value]], dtype=np.float32))
        return pb_utils.InferenceResponse([output])
