"""SSIM for Triton's Python backend."""

from iqa.catalogue import metric
from serving.model import ScoringModel


class TritonPythonModel(ScoringModel):
    """See `ScoringModel`."""

    metric = metric("ssim")
