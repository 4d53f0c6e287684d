"""Image-quality metrics as pure functions on uint8 arrays.

Each metric is a module with a `score`: `iqa.brisque.score(images)`, and so on for all of the
catalogue.
"""

from iqa.catalogue import METRICS
from iqa.errors import ItemError
from iqa.metric import Metric, Scores
from iqa.reading import read

__version__ = "0.2.0"
__all__ = ["METRICS", "ItemError", "Metric", "Scores", "read"]
