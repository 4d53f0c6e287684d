"""Memory that is not zero by chance: a kernel that leaves a gap or reads one shows it."""

from __future__ import annotations

from typing import Any

import pytest
import torch


def poison_allocations(monkeypatch: pytest.MonkeyPatch) -> None:
    allocate = torch.empty

    def poisoned(*arguments: Any, **options: Any) -> torch.Tensor:
        tensor = allocate(*arguments, **options)
        if tensor.is_floating_point():
            return tensor.fill_(float("nan"))
        tensor.view(torch.uint8).fill_(0xAB)
        return tensor

    monkeypatch.setattr(torch, "empty", poisoned)
