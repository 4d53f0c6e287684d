"""The CPU kernels against other packages: `python -m perf.kernels [--json FILE] [--output DIR]`.

With `--level v3,v4` the kernels at these levels against each other instead, see `levels`.

Prints tables and writes kernels.csv and kernels.png. Everything runs on one thread, on 768x512
uint8 pixels in memory. The contenders take turns within each round, and a ratio is the median over
the rounds of its two times in the same round, so that it holds on a machine that others use too.
Nothing is timed before our scores are those of the float64 reference.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import matplotlib as mpl
import numpy as np

from iqa.catalogue import METRICS, metric
from iqa.images import Image
from iqa.metric import Metric
from iqa.simd.levels import available
from iqa.warm_up import warm_up
from perf.kernels.contenders import OURS, PIQ, Contender, contenders, disagreements
from perf.kernels.levels import print_comparison
from perf.load.pictures import picture_set, read_pixels

mpl.use("Agg")
from matplotlib import pyplot as plt

SIZES = ((256, 256), (512, 512), (512, 768), (1024, 1024), (2000, 3000), (4000, 6000))
SLICE = 0.03  # seconds that a fast contender is called for in each round
Times = dict[tuple[str, str], list[float]]


def score(metric: Metric, images: list[Image], threads: int) -> None:
    """Score images; those with a reference are compared with themselves in another order."""
    metric.score(images, *[images[::-1]] * (len(metric.inputs) - 1), threads=threads)


def seconds_per_call(call: Callable[[], object]) -> float:
    """Median time of as many calls as fit into a slice of time, at least one."""
    times: list[float] = []
    while not times or sum(times) < SLICE:
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return float(np.median(times))


def interleaved(items: Sequence[Contender], rounds: int) -> Times:
    """Seconds of each contender in each round, in which all take turns."""
    times: Times = {(item.task, item.name): [] for item in items}
    for item in items:
        item.call()
    for _ in range(rounds):
        for item in items:
            times[item.task, item.name].append(seconds_per_call(item.call))
    return times


def cost_by_size(rounds: int) -> list[dict[str, Any]]:
    """Nanoseconds per pixel of each metric on RGB noise of growing size, one thread.

    Noise, as it is alike at any size; all sizes take turns.
    """
    random = np.random.default_rng(0)
    calls = {
        (each.name, *size): partial(
            score, each, [random.integers(0, 256, (*size, 3), dtype=np.uint8)], 1
        )
        for size in SIZES
        for each in METRICS
    }
    times: dict[tuple[str, int, int], list[float]] = {place: [] for place in calls}
    for _ in range(rounds):
        for place, call in calls.items():
            times[place].append(seconds_per_call(call))
    return [
        {
            "metric": name,
            "height": height,
            "width": width,
            "ns_per_pixel": float(np.median(own)) / (height * width) * 1e9,
        }
        for (name, height, width), own in times.items()
    ]


def spread_of_costs(costs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """How many times the cheapest size the dearest one costs per pixel, by metric."""
    return {
        each.name: max(own) / min(own)
        for each in METRICS
        for own in [[row["ns_per_pixel"] for row in costs if row["metric"] == each.name]]
    }


def memory_growth() -> dict[str, float]:
    """Megabytes by which a fresh process grows while it scores 24 megapixels, beside the images."""
    script = "from perf.kernels.__main__ import print_growth; print_growth({!r})"
    return {
        each.name: float(
            subprocess.run(
                [sys.executable, "-c", script.format(each.name)],
                check=True, capture_output=True, text=True,
            ).stdout
        )
        for each in METRICS
    }  # fmt: skip


def print_growth(name: str) -> None:
    """Print the growth of this process's peak memory in megabytes; run in a process of its own."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    score(metric(name), [small], 1)
    image = random.integers(0, 256, (4000, 6000, 3), dtype=np.uint8)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _megabytes("VmRSS")
    score(metric(name), [image], 1)
    print(_megabytes("VmHWM") - before)


def _megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def batch_speedup(rounds: int) -> dict[str, float]:
    """How many times faster two threads score a batch of 64 mixed sizes than one thread."""
    random = np.random.default_rng(0)
    sides = random.integers(170, 1100, (64, 2))
    images = [random.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]
    return {each.name: _two_threads(each, images, rounds) for each in METRICS}


def _two_threads(metric: Metric, images: list[Image], rounds: int) -> float:
    pairs = []
    for _ in range(rounds):
        seconds = []
        for threads in (1, 2):
            start = perf_counter()
            metric.score(*[images] * len(metric.inputs), threads=threads)
            seconds.append(perf_counter() - start)
        pairs.append(seconds[0] / seconds[1])
    return float(np.median(pairs))


def table(items: Sequence[Contender], times: Times) -> list[dict[str, Any]]:
    """One row per contender: milliseconds and how many times longer than ours it takes."""
    rows = []
    for item in items:
        own, ours = (np.array(times[item.task, name]) for name in (item.name, OURS))
        rows.append(
            {
                "task": item.task,
                "contender": item.name,
                "milliseconds": float(np.median(own)) * 1e3,
                "times_ours": float(np.median(own / ours)),
                "differs_in": item.differs_in,
            }
        )
    return rows


def plot(rows: Sequence[dict[str, Any]], costs: Sequence[dict[str, Any]], file: Path) -> None:
    """Bars of the times above, and the cost per pixel over the size."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5))
    names = [f"{row['task']}: {row['contender']}" for row in rows]
    left.barh(names, [row["milliseconds"] for row in rows])
    left.set(xscale="log", xlabel="milliseconds, 768x512, one thread")
    left.invert_yaxis()
    for each in METRICS:
        own = [row for row in costs if row["metric"] == each.name]
        pixels = [row["height"] * row["width"] / 1e6 for row in own]
        right.plot(pixels, [row["ns_per_pixel"] for row in own], marker="o", label=each.name)
    right.set(xscale="log", xlabel="megapixels", ylabel="nanoseconds per pixel", ylim=(0, None))
    right.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main(arguments: list[str] | None = None) -> int:
    """Check, measure, print and write; exits with 1 if a score is wrong."""
    parser = argparse.ArgumentParser(prog="python -m perf.kernels", description=__doc__)
    parser.add_argument("--json", type=Path, help="write ratios and rows here")
    parser.add_argument("--output", type=Path, default=Path("build/kernels"), metavar="DIR")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the comparison")
    parser.add_argument("--level", help="compare these levels, such as v3,v4, with the last one")
    options = parser.parse_args(arguments)

    if options.level:
        levels = options.level.split(",")
        known = [level.name for level in available()]
        if unknown := sorted(set(levels) - set(known)):
            parser.error(f"this machine has {', '.join(known)}, not {', '.join(unknown)}")
        print_comparison(levels, options.rounds)
        return 0
    warm_up()
    pair = picture_set()[0]
    items = contenders(read_pixels(pair.original), read_pixels(pair.distorted))
    wrong = disagreements(items)
    if wrong:
        print("\n".join(["nothing was timed:", *wrong]), file=sys.stderr)
        return 1

    rows = table(items, interleaved(items, options.rounds))
    print(f"{'task':14}{'contender':18}{'ms':>9}{'x ours':>9}  differs in")
    for row in rows:
        print(
            f"{row['task']:14}{row['contender']:18}{row['milliseconds']:9.3f}"
            f"{row['times_ours']:9.1f}  {row['differs_in']}"
        )
    found = {(row["task"], row["contender"]): row["times_ours"] for row in rows}
    ratios = {f"{each.name}_vs_piq": found[each.name, PIQ] for each in METRICS}
    costs = cost_by_size(7)
    spread = spread_of_costs(costs)
    for row in costs:
        print(
            f"{row['metric']:9}{row['width']:5}x{row['height']:<5}"
            f"{row['ns_per_pixel']:7.2f} ns per pixel"
        )
    growth, speedups = memory_growth(), batch_speedup(5)
    for name in spread:
        print(
            f"{name:9}sizes within {spread[name]:.2f}x; 24 megapixels: {growth[name]:.1f} MB more; "
            f"two threads: {speedups[name]:.2f}x"
        )

    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "kernels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    plot(rows, costs, options.output / "kernels.png")
    if options.json:
        report = {
            "ratios": ratios, "rows": rows, "cost_by_size": costs,
            "spread_of_costs": spread,
            "memory_growth_mb": growth, "two_threads_speedup": speedups,
        }  # fmt: skip
        options.json.write_text(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
