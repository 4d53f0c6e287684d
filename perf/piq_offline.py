"""piq without its downloads: the regressor's weights come from this project."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch

from iqa.brisque import regressor


class _Absent(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


try:
    import torchvision
except ImportError:
    for name in ("torchvision", "torchvision.models", "torchvision.models.inception"):
        sys.modules[name] = _Absent(name)
    sys.modules["torchvision"].models = sys.modules["torchvision.models"]
    sys.modules["torchvision.models"].inception = sys.modules["torchvision.models.inception"]

import piq  # noqa: E402

_model = regressor.load()
_weights = (
    torch.tensor(_model.coefficients, dtype=torch.float32)[:, None],
    torch.tensor(_model.vectors, dtype=torch.float32),
)


def _load(url: str, map_location: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
    return _weights[0].clone(), _weights[1].clone()


sys.modules["piq.brisque"].load_url = _load
