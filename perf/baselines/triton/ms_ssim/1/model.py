"""MS-SSIM by piq for Triton's Python backend."""

from iqa.catalogue import metric
from perf.baselines.piq_model import PiqModel


class TritonPythonModel(PiqModel):
    """See `PiqModel`."""

    metric = metric("ms_ssim")
