"""What `perf.gpu` makes of its measurements; the measurements themselves need a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from perf import gpu, triton_load
from perf.gpu_check import Batch, disagreement, extremes
from perf.gpu_report import Report, Row

PIXELS = np.zeros((4, 6, 3), dtype=np.uint8)
UNIFORM, MIXED = Batch("768x512", [PIXELS] * 2, [PIXELS] * 2), Batch("mixed", [PIXELS], [PIXELS])
ROWS = [
    Row("brisque", "768x512", "ours", 300_000),
    Row("brisque", "mixed", "ours", 480_000),
    Row("brisque", "mixed", "piq", 1_000),
    Row("ms_ssim", "768x512", "ours", 40_000),
    Row("ms_ssim", "mixed", "ours", 80_000),
    Row("ms_ssim", "mixed", "piq", 4_000),
    Row("brisque", "Triton", "none", 9_000),
    Row("brisque", "Triton", "cuda", 7_999),
]


def test_a_score_on_one_device_only_is_a_disagreement() -> None:
    one = np.array([1.0, np.nan, 3.0])
    assert disagreement(one, np.array([1.25, np.nan, 3.0])) == 0.25
    assert disagreement(one, np.array([1.0, 2.0, 3.0])) == float("inf")
    assert disagreement(np.array([np.nan]), np.array([np.nan])) == 0


def test_extremes_have_every_parity_of_sides() -> None:
    shapes = {image.shape for image in extremes().distorted}
    assert {(height % 2, width % 2) for height, width, _ in shapes} == {(0, 0), (1, 1), (0, 1)}


def test_grey_is_one_plane_of_the_distorted_picture() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    (grey,) = Batch("one", [image], [image]).grey
    assert grey.tolist() == [[[1], [4], [7], [10]], [[13], [16], [19], [22]]]


def test_verdicts_compare_with_the_targets() -> None:
    assert gpu.verdicts(ROWS, (UNIFORM, MIXED)) == [
        "brisque, 768x512, per second: 300,000.00, target 250,000.00: met",
        "brisque, mixed, share of that per pixel: 0.80, target 0.85: missed",
        "brisque, mixed, times piq: 480.00, target 50.00: met",
        "ms_ssim, 768x512, per second: 40,000.00, target 50,000.00: missed",
        "ms_ssim, mixed, share of that per pixel: 1.00, target 0.85: met",
        "ms_ssim, mixed, times piq: 20.00, target 50.00: missed",
        "brisque through Triton: 7,999, target 8,000: missed",
    ]


def test_report_is_named_after_device_and_day(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = Report("NVIDIA H100 80GB HBM3", ROWS, ["all: met"], date="2031-02-03")
    table, data, plot = report.write(tmp_path / "results")
    assert table.name == "gpu-nvidia-h100-80gb-hbm3-2031-02-03.md"
    assert "| ms_ssim | 768x512 | ours | 40,000 pairs/s |" in table.read_text().splitlines()
    assert "- all: met" in table.read_text().splitlines()
    assert [Row(**row) for row in json.loads(data.read_text())["rows"]] == ROWS
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_perf_analyzer_is_told_shapes_and_memory(tmp_path: Path) -> None:
    command = triton_load.command("ms_ssim", "cuda", "host:8101", 32, 2.5, tmp_path / "out.csv")
    assert {
        "--shape=REFERENCE:512,768,3",
        "--shape=DISTORTED:512,768,3",
        "--shared-memory=cuda",
        "--concurrency-range=32",
        "--measurement-interval=2500",
    } <= set(command)


def test_throughput_is_read_from_perf_analyzers_table() -> None:
    table = "Concurrency,Inferences/Second,Client Send\n32,8123.45,17\n\n"
    assert triton_load.throughput(table) == 8123.45
    with pytest.raises(ValueError, match="Inferences/Second"):
        triton_load.throughput("Concurrency\n1\n")


def test_without_a_gpu_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        gpu.main([])
    assert stopped.value.code == 2
    assert "torch sees no GPU" in capsys.readouterr().err
