"""MS-SSIM by piq for Triton's Python backend."""

from perf.baselines.piq_model import PiqModel


class TritonPythonModel(PiqModel):
    """See `PiqModel`."""

    inputs = ("REFERENCE", "DISTORTED")
