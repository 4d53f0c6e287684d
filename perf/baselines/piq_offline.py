"""The real piq, without its download and on any build of torch.

Its regressor weights come from the file that `iqa` ships, which holds the same numbers.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from iqa.brisque import regressor


def _import_torchvision() -> None:
    """Import what piq needs although PyPI's torchvision expects the operators of a CUDA build."""
    try:
        import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        register = torch.library.register_fake

        def register_known(operator: Any, *arguments: Any, **options: Any) -> Callable[..., Any]:
            if str(operator).startswith("torchvision::"):
                return lambda function: function
            return register(operator, *arguments, **options)

        torch.library.register_fake = register_known
        try:
            import_module("torchvision")
        finally:
            torch.library.register_fake = register


def _seed_weights(folder: Path) -> None:
    """Put the weights where `torch.hub` looks before it downloads."""
    model = regressor.load()
    weights = (
        torch.tensor(model.coefficients, dtype=torch.float32)[:, None],
        torch.tensor(model.vectors, dtype=torch.float32),
    )
    (folder / "checkpoints").mkdir()
    torch.save(weights, folder / "checkpoints" / "brisque_svm_weights.pt")
    torch.hub.set_dir(str(folder))


_import_torchvision()
_folder = tempfile.TemporaryDirectory(prefix="piq-weights-")  # removed when the process ends
_seed_weights(Path(_folder.name))

import piq  # noqa: E402 # only now can it be imported

__all__ = ["piq"]
