"""Correctness and speed on a GPU: the kernels, and Triton with pixels sent in three ways.

    python -m perf.gpu [--device cuda:0] [--triton HOST:PORT] [--output perf/results]

Nothing is timed unless the GPU's scores agree with the CPU's. `--triton` names the gRPC endpoint of
a tritonserver on this machine that serves `model_repository`; perf_analyzer has to be on the PATH.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from iqa import brisque, ms_ssim
from perf.gpu_check import BATCH, LARGEST_DIFFERENCE, Batch, batches, check, extremes
from perf.gpu_report import Report, Row
from perf.triton_load import MEMORIES, MODELS, perf_analyzer

# Kernel targets: BRISQUE images/s, MS-SSIM RGB pairs/s, with the data on one H100.
TARGETS = {"brisque": 250_000.0, "ms_ssim": 50_000.0}
MIXED_SHARE, PIQ_RATIO, TRITON_TARGET = 0.85, 50.0, 8_000.0


def seconds_per_call(call: Callable[[], object], duration: float) -> float:
    """Median over the calls of `duration` seconds; a call returns with its result."""
    for _ in range(3):
        call()
    times: list[float] = []
    end = time.perf_counter() + duration
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def bandwidth(device: str) -> float:
    """Bytes per second that a copy within the device's memory reads and writes."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        torch.cuda.synchronize(device)

    return 2 * source.numel() / seconds_per_call(copy, 1.0)


def piq_calls(
    pictures: Sequence[torch.Tensor], originals: Sequence[torch.Tensor]
) -> dict[str, Callable[[], object]]:
    """piq on the same GPU: one batch where sizes agree, else picture by picture."""
    from perf.piq_offline import piq

    def planes(images: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        moved = [image.permute(2, 0, 1)[None].float() for image in images]
        return [torch.cat(moved)] if len({image.shape for image in moved}) == 1 else moved

    grey = planes([image[:, :, 1:2] for image in pictures])
    pairs = list(zip(planes(originals), planes(pictures), strict=True))

    @torch.inference_mode()
    def brisque_of_all() -> list[torch.Tensor]:
        return [piq.brisque(image, data_range=255, reduction="none").cpu() for image in grey]

    @torch.inference_mode()
    def ms_ssim_of_all() -> list[torch.Tensor]:
        return [
            piq.multi_scale_ssim(*pair, data_range=255, reduction="none").cpu() for pair in pairs
        ]

    return {"brisque": brisque_of_all, "ms_ssim": ms_ssim_of_all}


def kernels(batch: Batch, device: str, copy_rate: float, duration: float) -> list[Row]:
    """Time both metrics, data on the GPU, beside piq and the time to read the pixels just once."""
    grey = [torch.tensor(image, device=device) for image in batch.grey]
    originals = [torch.tensor(image, device=device) for image in batch.originals]
    distorted = [torch.tensor(image, device=device) for image in batch.distorted]
    ours: dict[str, Callable[[], object]] = {
        "brisque": lambda: brisque.score(grey, device=device),
        "ms_ssim": lambda: ms_ssim.score(originals, distorted, device=device),
    }
    bytes_read = {"brisque": batch.pixels, "ms_ssim": 6 * batch.pixels}
    rows = []
    for metric, call in ours.items():
        rows.append(Row(metric, batch.name, "ours", BATCH / seconds_per_call(call, duration)))
        roofline = BATCH * copy_rate / bytes_read[metric]
        rows.append(Row(metric, batch.name, "memory bandwidth", roofline))
    for metric, call in piq_calls(distorted, originals).items():
        rows.append(Row(metric, batch.name, "piq", BATCH / seconds_per_call(call, duration)))
    return rows


def verdicts(rows: Sequence[Row], sizes: Sequence[Batch]) -> list[str]:
    """The targets, each with what was measured and whether it was met."""
    rate = {(row.metric, row.batch, row.subject): row.per_second for row in rows}
    uniform, mixed = sizes
    share = mixed.pixels / uniform.pixels
    lines = []
    for metric, target in TARGETS.items():
        fast, slow = rate[metric, uniform.name, "ours"], rate[metric, mixed.name, "ours"]
        for name, measured, wanted in (
            (f"{uniform.name}, per second", fast, target),
            (f"{mixed.name}, share of that per pixel", slow * share / fast, MIXED_SHARE),
            (f"{mixed.name}, times piq", slow / rate[metric, mixed.name, "piq"], PIQ_RATIO),
        ):
            met = "met" if measured >= wanted else "missed"
            lines.append(f"{metric}, {name}: {measured:,.2f}, target {wanted:,.2f}: {met}")
    for row in rows:
        if row.metric == "brisque" and row.batch == "Triton" and row.subject == "cuda":
            met = "met" if row.per_second >= TRITON_TARGET else "missed"
            lines.append(f"brisque through Triton: {row.per_second:,.0f}, target 8,000: {met}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Check, measure and report; 1 if the GPU's scores are not the CPU's."""
    parser = argparse.ArgumentParser(
        prog="python -m perf.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--triton", metavar="HOST:PORT", help="gRPC endpoint of a tritonserver")
    parser.add_argument("--concurrency", type=int, default=256, help="perf_analyzer's clients")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--output", type=Path, default=Path("perf/results"))
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        parser.error("torch sees no GPU; this script measures nothing else")

    sizes = batches()
    for batch in (extremes(), *sizes):
        for metric, difference in check(batch, options.device).items():
            print(f"{batch.name}: {metric} differs from the CPU by at most {difference:.2g}")
            if difference > LARGEST_DIFFERENCE[metric]:
                print(f"more than {LARGEST_DIFFERENCE[metric]}: nothing is timed", file=sys.stderr)
                return 1

    copy_rate = bandwidth(options.device)
    rows = [
        row for batch in sizes for row in kernels(batch, options.device, copy_rate, options.seconds)
    ]
    if options.triton:
        rows += [
            perf_analyzer(model, memory, options.triton, options.concurrency, options.seconds)
            for model in MODELS
            for memory in MEMORIES
        ]
    report = Report(torch.cuda.get_device_name(options.device), rows, verdicts(rows, sizes))
    for path in report.write(options.output):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
