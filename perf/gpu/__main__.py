"""Correctness and speed on a GPU: the kernels, and Triton with pixels sent in three ways.

    python -m perf.gpu [--output perf/results]

A task is timed only if the GPU's scores agree with the CPU's. What fails (piq or perf_analyzer may
not be installed) is named in the report, and the rest is measured. It takes about five minutes, and
the report is written anew after each of its steps.

Without a GPU, `--device cpu` goes through the same steps with the CPU's kernels; with
TRITON_INTERPRET=1, `--device cpu:0` interprets the GPU's kernels, which takes patience.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch

from perf.gpu import triton as gpu_triton
from perf.gpu.check import BATCH, TASKS, Batch, batches, check, extremes
from perf.gpu.report import Overhead, Report, Row
from perf.gpu.timing import bandwidth, device_seconds, piq_call, seconds_per_call
from perf.load.pictures import HEIGHT, WIDTH

# Kernel targets: BRISQUE images/s, MS-SSIM RGB pairs/s, with the data on one H100.
TARGETS = {"brisque": 250_000.0, "ms_ssim": 50_000.0}
MIXED_SHARE, PIQ_RATIO, TRITON_TARGET = 0.85, 50.0, 8_000.0
CALL_SIZES = (1, 4, 16, 64)


def agreeing(
    report: Report, names: Iterable[str], sizes: Sequence[Batch], device: str
) -> list[str]:
    """The tasks whose scores on the device are right."""
    sound = []
    for name in names:
        with report.attempt(f"check of {name}"):
            for batch in sizes:
                difference = check(TASKS[name], batch, device)
                print(f"{batch.name}: {name} differs from the CPU by at most {difference:.2g}")
            sound.append(name)
    return sound


def measure_kernels(
    report: Report, names: Sequence[str], sizes: Sequence[Batch], device: str, seconds: float
) -> None:
    """Calls with the data on the device, beside piq and the time to read the pixels just once."""
    copy_rate = None
    with report.attempt("memory bandwidth"):
        copy_rate = bandwidth(device)
    for batch in sizes:
        for name in names:
            task = TASKS[name]
            with report.attempt(f"{name}, {batch.name}"):
                rates = {"ours": rate(partial(task.scores, batch, device), batch, seconds)}
                if copy_rate:
                    bytes_read = task.bytes_per_pixel * batch.pixels
                    rates["memory bandwidth"] = len(batch.grey) * copy_rate / bytes_read
                report.rows += [Row(name, batch.name, *measured) for measured in rates.items()]
            if name in TARGETS:
                with report.attempt(f"piq, {name}, {batch.name}"):
                    measured = rate(piq_call(name, batch), batch, seconds)
                    report.rows.append(Row(name, batch.name, "piq", measured))


def rate(call: Callable[[], object], batch: Batch, seconds: float) -> float:
    """Pictures or pairs per second in calls of the batch."""
    return len(batch.grey) / seconds_per_call(call, seconds)


def measure_overheads(
    report: Report, names: Sequence[str], batch: Batch, device: str, seconds: float
) -> None:
    """Calls of few and of many pictures: what of their time is not the GPU's."""
    parts = [batch.first(count) for count in CALL_SIZES if count <= len(batch.grey)]
    calls = {
        (name, len(part.grey)): partial(TASKS[name].scores, part, device)
        for name in names
        for part in parts
    }
    times = {}
    for (name, count), call in calls.items():
        with report.attempt(f"{name}, {count} in a call"):
            times[name, count] = seconds_per_call(call, seconds)
    # Only now, as launches take longer once torch has profiled some.
    for (name, count), taken in times.items():
        with report.attempt(f"profile of {name}, {count} in a call"):
            kernels = device_seconds(calls[name, count], device)
            report.overheads.append(Overhead(name, count, taken, kernels))


def measure_gpu_time(
    report: Report, names: Sequence[str], sizes: Sequence[Batch], device: str
) -> None:
    """What calls that overlap could reach: only the time that the GPU works is counted."""
    for batch in sizes:
        for name in names:
            with report.attempt(f"GPU time of {name}, {batch.name}"):
                working = sum(
                    device_seconds(partial(TASKS[name].scores, batch, device), device).values()
                )
                if working:
                    row = Row(name, batch.name, "ours, GPU time", len(batch.grey) / working)
                    report.rows.append(row)


def verdicts(rows: Sequence[Row], sizes: Sequence[Batch]) -> list[str]:
    """The targets that something was measured for, and whether it was met."""
    rate = {(row.metric, row.batch, row.subject): row.per_second for row in rows}
    uniform, mixed = sizes
    share = mixed.pixels / uniform.pixels
    lines = []

    def judge(what: str, target: float, measured: float | None, divisor: float | None = 1) -> None:
        if measured and divisor:
            met = "met" if measured / divisor >= target else "missed"
            lines.append(f"{what}: {measured / divisor:,.2f}, target {target:,.2f}: {met}")

    for metric, target in TARGETS.items():
        for subject in ("ours", "ours, GPU time"):
            fast = rate.get((metric, uniform.name, subject))
            slow = rate.get((metric, mixed.name, subject))
            about = f"{metric}, {subject}"
            judge(f"{about}, {uniform.name}, per second", target, fast)
            judge(
                f"{about}, {mixed.name}, share of that per pixel",
                MIXED_SHARE, slow and slow * share, fast,
            )  # fmt: skip
            piq = rate.get((metric, mixed.name, "piq"))
            judge(f"{about}, {mixed.name}, times piq", PIQ_RATIO, slow, piq)
    for memory in gpu_triton.MEMORIES:
        measured = rate.get(("brisque", "Triton", memory))
        judge(f"brisque through Triton, shared memory {memory}", TRITON_TARGET, measured)
    return lines


def device_name(device: str) -> str:
    """Its name, for the report."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {platform.machine()}"


def main(arguments: list[str] | None = None) -> int:
    """Check, measure and report; 1 if a score is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m perf.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--device", default="cuda:0")
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    add("--batch", type=int, default=BATCH, help="pictures in a call (default: 64)")
    add("--width", type=int, default=WIDTH)
    add("--height", type=int, default=HEIGHT)
    add("--triton", metavar="HOST:PORT", help="gRPC of a tritonserver (default: one is started)")
    add("--no-triton", action="store_true", help="only the kernels")
    add("--perf-analyzer", default="perf_analyzer", help="the program (default: on the PATH)")
    add("--concurrency", type=int, default=256, help="perf_analyzer's clients")
    add("--seconds", type=float, default=2.0, help="of each measurement")
    add("--output", type=Path, default=Path("perf/results"))
    options = parser.parse_args(arguments)
    on_gpu = torch.device(options.device).type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        parser.error("torch sees no GPU; --device cpu goes through the same steps without one")

    report = Report(device_name(options.device))
    sizes = batches(options.batch, options.width, options.height)
    names = agreeing(report, options.tasks, (extremes(), *sizes), options.device)
    report.write(options.output)
    there = [size.moved(options.device) for size in sizes]
    measure_kernels(report, names, there, options.device, options.seconds)
    report.write(options.output)
    measure_overheads(report, names, there[0], options.device, options.seconds)
    measure_gpu_time(report, names, there, options.device)
    report.write(options.output)
    load = (options.perf_analyzer, options.concurrency, options.seconds)
    if options.triton:
        gpu_triton.measure(report, options.triton, *load)
    elif not options.no_triton:
        with (
            report.attempt("Triton"),
            gpu_triton.running_triton("gpu" if on_gpu else None) as url,
        ):
            gpu_triton.measure(report, url, *load)
    report.verdicts += verdicts(report.rows, sizes)
    for path in report.write(options.output):
        print(path)
    return int(len(names) < len(options.tasks))


if __name__ == "__main__":
    sys.exit(main())
