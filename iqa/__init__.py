"""Image-quality metrics as pure functions on uint8 arrays."""

from iqa import brisque, ms_ssim
from iqa.errors import ItemError

__all__ = ["ItemError", "brisque", "ms_ssim"]
