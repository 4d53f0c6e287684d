"""`perf.gpu` from end to end with the CPU's kernels, and what it makes of its measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput

from iqa.catalogue import METRICS
from perf.baselines import piq_repository, piq_scores
from perf.gpu import __main__ as gpu
from perf.gpu import triton as gpu_triton
from perf.gpu.check import TASKS, Batch, Task, batches, check, disagreement, extremes
from perf.gpu.report import Overhead, Report, Row
from perf.load.pictures import picture_set, read_pixels

PIXELS = np.zeros((4, 6, 3), dtype=np.uint8)
UNIFORM = Batch.of("768x512", [PIXELS] * 2, [PIXELS] * 2)
MIXED = Batch.of("mixed", [PIXELS], [PIXELS])
ROWS = [
    Row("brisque", "768x512", "ours", 300_000),
    Row("brisque", "768x512", "ours, GPU time", 400_000),
    Row("brisque", "mixed", "ours", 480_000),
    Row("brisque", "mixed", "piq", 1_000),
    Row("ms_ssim", "768x512", "ours", 40_000),
    Row("ms_ssim", "mixed", "ours", 80_000),
    Row("ms_ssim", "mixed", "piq", 4_000),
    Row("brisque", "Triton", "none", 9_000),
    Row("brisque", "Triton", "cuda", 7_999),
]


def small_run(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """`perf.gpu` on the CPU with four small pictures: its status, its report."""
    sizes = ["--batch", "4", "--width", "176", "--height", "168", "--seconds", "0"]
    status = gpu.main(["--device", "cpu", *sizes, "--output", str(folder), *options])
    (report,) = folder.glob("gpu-cpu-*.json")
    return status, json.loads(report.read_text())


@pytest.mark.server
def test_every_step_runs_and_what_fails_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_triton, "PICTURES", 1)
    status, report = small_run(tmp_path, "--perf-analyzer", "/no/such/program")
    assert status == 0
    measured = {(row["metric"], row["batch"], row["subject"]) for row in report["rows"]}
    expected = {
        (metric, batch, subject)
        for metric in TASKS
        for batch in ("176x168", "mixed sizes")
        for subject in ("ours", "piq", "memory bandwidth")
        if subject != "piq" or metric in gpu.TARGETS
    }
    assert measured == expected
    calls = [(row["metric"], row["batch"]) for row in report["overheads"]]
    assert calls == [(metric, count) for metric in TASKS for count in (1, 4)]
    # Triton started: it is the program that is missing.
    assert report["failures"] == [
        f"perf_analyzer, {model}, shared memory {memory}: FileNotFoundError: "
        "[Errno 2] No such file or directory: '/no/such/program'"
        for model in (metric.name for metric in METRICS)
        for memory in gpu_triton.MEMORIES
    ]
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_wrong_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    broken = Task(lambda batch, _: random.random(len(batch.grey)), 6, 1e-5)
    monkeypatch.setitem(TASKS, "ms_ssim", broken)
    status, report = small_run(tmp_path, "--no-triton", "--tasks", "ms_ssim", "brisque RGB")
    assert status == 1
    assert {row["metric"] for row in report["rows"]} == {"brisque RGB"}
    assert [failure[:16] for failure in report["failures"]] == ["check of ms_ssim"]


@pytest.mark.server
def test_a_triton_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_triton, "REPOSITORY", tmp_path / "nowhere")
    with (
        pytest.raises(RuntimeError, match="nowhere"),
        gpu_triton.running_triton(config_name=None),
    ):
        pass


@pytest.mark.server
def test_the_piq_baseline_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [metric for metric in METRICS if metric.name in ("brisque", "ms_ssim")]
    monkeypatch.setattr(piq_repository, "METRICS", asked)  # each process loads torch
    monkeypatch.setattr(gpu_triton, "REPOSITORY", piq_repository.write(tmp_path / "piq"))
    pair = picture_set(width=200, height=176)[0]
    original, distorted = read_pixels(pair.original), read_pixels(pair.distorted)
    inputs = {"ms_ssim": {"REFERENCE": original, "DISTORTED": distorted}}
    inputs["brisque"] = {"IMAGE": distorted}
    with gpu_triton.running_triton(config_name=None) as url:
        client = InferenceServerClient(url)
        for model, pictures in inputs.items():
            tensors = [InferInput(name, [1, 176, 200, 3], "UINT8") for name in pictures]
            for tensor, picture in zip(tensors, pictures.values(), strict=True):
                tensor.set_data_from_numpy(picture[None])
            answer = client.infer(model, tensors).as_numpy("SCORE")
            assert answer == pytest.approx(piq_scores.score(model, *pictures.values()), abs=1e-4)


def test_every_metric_is_checked_as_closely_as_its_catalogue_says() -> None:
    assert {name.partition(" ")[0] for name in TASKS} == {metric.name for metric in METRICS}
    for metric in METRICS:
        assert TASKS[metric.name].tolerance == metric.tolerance


def test_checks_compare_devices_and_orders() -> None:
    uniform, _ = batches(2, 176, 168)
    scores = {"cpu": [1.0, 2.0], "gpu": [1.0, 2.5]}

    def other_device(_: Batch, device: str) -> np.ndarray:
        return np.array(scores[device])

    with pytest.raises(ArithmeticError, match="away from the CPU"):
        check(Task(other_device, 1, 0.4), uniform, "gpu")
    with pytest.raises(ArithmeticError, match="other bits"):
        check(Task(other_device, 1, 0.6), uniform, "cpu")


def test_mixed_sides_are_between_half_and_all_but_never_too_small() -> None:
    _, mixed = batches(24, 400, 170)
    heights, widths, _ = zip(*(image.shape for image in mixed.distorted), strict=True)
    assert min(heights) >= 161
    assert max(heights) <= 170
    assert 200 <= min(widths) < 250 < 350 < max(widths) <= 400


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
    (grey,) = Batch.of("one", [image], [image]).grey
    assert grey.tolist() == [[[1], [4], [7], [10]], [[13], [16], [19], [22]]]


def test_verdicts_compare_what_was_measured_with_the_targets() -> None:
    assert gpu.verdicts(ROWS, (UNIFORM, MIXED)) == [
        "brisque, ours, 768x512, per second: 300,000.00, target 250,000.00: met",
        "brisque, ours, mixed, share of that per pixel: 0.80, target 0.85: missed",
        "brisque, ours, mixed, times piq: 480.00, target 50.00: met",
        "brisque, ours, GPU time, 768x512, per second: 400,000.00, target 250,000.00: met",
        "ms_ssim, ours, 768x512, per second: 40,000.00, target 50,000.00: missed",
        "ms_ssim, ours, mixed, share of that per pixel: 1.00, target 0.85: met",
        "ms_ssim, ours, mixed, times piq: 20.00, target 50.00: missed",
        "brisque through Triton, shared memory none: 9,000.00, target 8,000.00: met",
        "brisque through Triton, shared memory cuda: 7,999.00, target 8,000.00: missed",
    ]
    assert gpu.verdicts([], (UNIFORM, MIXED)) == []


def test_report_is_named_after_device_and_day(tmp_path: Path) -> None:
    overhead = Overhead("ms_ssim", 16, 0.0005, {"similarity_kernel": 0.0003, "copy": 0.0001})
    report = Report("NVIDIA H100 80GB HBM3", ROWS, [overhead], ["all: met"], date="2031-02-03")
    with report.attempt("piq"):
        raise ImportError("there is none")
    table, data, plot = report.write(tmp_path / "results")
    assert table.name == "gpu-nvidia-h100-80gb-hbm3-2031-02-03.md"
    assert {
        "| ms_ssim | 768x512 | ours | 40,000 pairs/s |",
        "- all: met",
        "- failed: piq: ImportError: there is none",
        "| ms_ssim | 16 | 500 | 400 | 100 |",
        "| ms_ssim | 16 | similarity_kernel | 300.0 |",
    } <= set(table.read_text().splitlines())
    assert [Row(**row) for row in json.loads(data.read_text())["rows"]] == ROWS
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_without_a_gpu_the_script_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        gpu.main([])
    assert stopped.value.code == 2
    assert "torch sees no GPU" in capsys.readouterr().err
