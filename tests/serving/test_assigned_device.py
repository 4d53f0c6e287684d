"""An instance scores where Triton puts it, or says in a sentence why it cannot."""

import sys

import pytest
import torch

from serving.device import assigned


def test_without_a_gpu_it_is_the_cpu() -> None:
    assert assigned("CPU", "0") == "cpu"


def test_a_gpu_that_is_absent_is_refused() -> None:
    absent = str(torch.cuda.device_count())
    with pytest.raises(ValueError, match=f"there is no device 'cuda:{absent}'"):
        assigned("GPU", absent)


def test_a_gpu_without_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "iqa.gpu.device", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)  # what an installation without it looks like
    with pytest.raises(ValueError, match="Triton assigned cuda:1, but torch is not installed"):
        assigned("GPU", "1")
