"""Image-quality metrics as pure functions on uint8 arrays."""

from iqa import brisque, ms_ssim
from iqa.catalogue import METRICS
from iqa.errors import ItemError
from iqa.metric import Metric, Scores

__version__ = "0.2.0"
__all__ = ["METRICS", "ItemError", "Metric", "Scores", "brisque", "ms_ssim"]
