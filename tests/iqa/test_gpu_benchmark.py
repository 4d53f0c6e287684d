"""`perf.gpu` from end to end with the GPU's kernels, interpreted: here, where kernels are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from iqa.brisque import gpu as brisque_gpu
from perf.gpu import __main__ as gpu
from perf.gpu import timing as gpu_timing
from perf.gpu.check import Batch


def test_the_benchmark_checks_and_times_the_gpu_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of PSNR, which are interpreted soonest."""
    one, other = np.random.default_rng(0).integers(0, 256, (2, 17, 16, 3), dtype=np.uint8)
    odd, even = Batch.of("odd", [one], [other]), Batch.of("even", [one[:16]], [other[:16]])
    monkeypatch.setattr(gpu, "extremes", lambda: even)
    monkeypatch.setattr(gpu, "batches", lambda *_: (even, odd))
    monkeypatch.setattr(gpu_timing, "LEAST_CALLS", 1)
    monkeypatch.setattr(gpu_timing, "PROFILED_CALLS", 1)
    options = "--device cpu:0 --tasks psnr --seconds 0 --no-triton --output"
    status = gpu.main([*options.split(), str(tmp_path)])
    (report,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert report["failures"] == []
    assert status == 0
    assert [(row["batch"], row["subject"]) for row in report["rows"]] == [
        (batch, subject) for batch in ("even", "odd") for subject in ("ours", "memory bandwidth")
    ]
    assert all(row["per_second"] > 0 for row in report["rows"])
    assert [(row["batch"], row["device"]) for row in report["overheads"]] == [(1, {})]


def test_a_wrong_kernel_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    batch = Batch.of("noise", [noise], [noise])
    monkeypatch.setattr(gpu, "extremes", lambda: batch)
    monkeypatch.setattr(gpu, "batches", lambda *_: (batch, batch))
    monkeypatch.setattr(brisque_gpu, "TAPS", (*brisque_gpu.TAPS[1:], 0.0))
    monkeypatch.setattr(brisque_gpu, "PRECISION", 0.0)
    options = "--device cpu:0 --tasks brisque --seconds 0 --no-triton --output"
    assert gpu.main([*options.split(), str(tmp_path)]) == 1
    (report,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert report["rows"] == []
    (failure,) = report["failures"]
    assert "away from the CPU" in failure
