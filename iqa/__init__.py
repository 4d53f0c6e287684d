"""Image-quality metrics as pure functions on uint8 arrays."""

from iqa import brisque, ms_ssim
from iqa.errors import ItemError

__version__ = "0.1.0"
__all__ = ["ItemError", "brisque", "ms_ssim"]
