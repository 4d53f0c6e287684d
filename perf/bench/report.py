"""The benchmark's results as a table, CSV and plots.

`python -m perf.bench.report bench.json FOLDER` draws those of an earlier run again.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from iqa.catalogue import METRICS
from iqa.metric import Metric
from perf.bench.contenders import contenders
from perf.bench.results import BARE, PERCENTILES, Document, Row
from perf.bench.stages import STAGES

TITLES = {each.name: each.title for each in contenders(0, Path())} | {
    BARE: "decode and kernel alone"
}
COLOURS = {name: f"C{index}" for index, name in enumerate(TITLES)}

mpl.use("Agg")
mpl.rcParams |= {
    "svg.hashsalt": "iqa",  # equal results give equal files
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def _metrics(document: Document) -> list[Metric]:
    measured = {row["metric"] for row in document["rows"]}
    return [metric for metric in METRICS if metric.name in measured]


def table(document: Document) -> str:
    """The results with 50 clients, and those with one, as Markdown."""
    lines = [f"{document['machine']}, {document['date']}, 768x512 JPEGs.", ""]
    metrics = _metrics(document)
    for metric in metrics:
        rows = [row for row in document["rows"] if row["metric"] == metric.name]
        lines += [
            f"| {metric.title}, 50 clients | req/s | p50 ms | p99 ms | CPU ms/request | memory MB "
            "| x piq | x in-process | of bare loop |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
            *map(_line, rows),
            "",
        ]
    lines += [_one_client(document, metric.name, metric.title) for metric in metrics]
    return "\n".join(lines)


def _line(row: Row) -> str:
    return (
        f"| {TITLES[row['service']]} | {row['requests_per_second']:.1f} | {row['p50_ms']:.1f} "
        f"| {row['p99_ms']:.1f} | {row['cpu_ms_per_request']:.2f} | {row['memory_mb']} "
        f"| {row['vs_piq_service']:.2f} | {row['vs_in_process']:.2f} | {row['vs_bare_loop']:.2f} |"
    )


def _one_client(document: Document, model: str, title: str) -> str:
    p50 = {
        row["service"]: row["p50_ms"]
        for row in document["sweep"]
        if row["metric"] == model and row["clients"] == 1
    }
    return (
        f"One client, {title}: {p50['service']:.2f} ms at the median; "
        f"decode and kernel alone {p50[BARE]:.2f} ms."
    )


def write_report(document: Document, folder: Path) -> None:
    """Write `bench.json`, `bench.csv` and the plots into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(document, indent=1) + "\n")
    with (folder / "bench.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, document["rows"][0], restval="")
        writer.writeheader()
        writer.writerows(document["rows"] + document["sweep"])
    plots = {
        "throughput": _plot_throughput,
        "latency": _plot_latency,
        "batches": _plot_batches,
        "stages": _plot_stages,
    }
    for name, plot in plots.items():
        metrics = _metrics(document)
        figure, axes = plt.subplots(1, len(metrics), figsize=(5 * len(metrics), 3.6), squeeze=False)
        for metric, area in zip(metrics, axes[0], strict=True):
            area.set_title(metric.title)
            plot(document, metric.name, area)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


def _plot_throughput(document: Document, model: str, area: Axes) -> None:
    names = dict.fromkeys(row["service"] for row in document["sweep"] if row["service"] != BARE)
    for name in names:
        rows = [r for r in document["sweep"] if (r["service"], r["metric"]) == (name, model)]
        area.plot(
            [row["clients"] for row in rows],
            [row["requests_per_second"] for row in rows],
            marker="o",
            color=COLOURS[name],
            label=TITLES[name],
        )
    bare = next(r for r in document["rows"] if (r["service"], r["metric"]) == (BARE, model))
    area.axhline(
        bare["requests_per_second"], color=COLOURS[BARE], linestyle="--", label=TITLES[BARE]
    )
    area.set_xscale("log", base=2)
    area.xaxis.set_major_formatter("{x:.0f}")
    area.set_ylim(bottom=0)
    area.set_xlabel("clients")
    area.set_ylabel("requests per second")
    area.legend()


def _plot_latency(document: Document, model: str, area: Axes) -> None:
    for name, percentiles in document["latency_percentiles_ms"][model].items():
        if name != BARE:
            area.plot(percentiles, PERCENTILES, color=COLOURS[name], label=TITLES[name])
    area.set_xscale("log")
    area.set_xlabel("latency with 50 clients, ms")
    area.set_ylabel("% of requests")
    area.legend()


def _plot_batches(document: Document, model: str, area: Axes) -> None:
    for clients, batches in document["batches"][model].items():
        if int(clients) in (1, 8, 50, 256):
            sizes = sorted(map(int, batches))
            total = sum(size * batches[str(size)] for size in sizes)
            share = [100 * size * batches[str(size)] / total for size in sizes]
            area.plot(sizes, share, marker="o", label=f"{clients} clients")
    area.set_xlabel("size of the batch")
    area.set_ylabel("% of requests")
    area.legend()


def _plot_stages(document: Document, model: str, area: Axes) -> None:
    measured = document["stages_ms"][model]
    shown = {clients: measured[clients] for clients in ("50", "8", "1") if clients in measured}
    left = [0.0] * len(shown)
    for stage in STAGES:
        widths = [stages[stage] for stages in shown.values()]
        area.barh(
            [f"{clients} client{'s' * (clients != '1')}" for clients in shown],
            widths,
            left=left,
            label=stage,
        )
        left = [start + width for start, width in zip(left, widths, strict=True)]
    area.set_xlabel("ms of a request")
    area.legend(fontsize="small")


def main() -> None:
    """Draw the results of an earlier run."""
    parser = argparse.ArgumentParser(prog="perf.bench.report", description=__doc__)
    parser.add_argument("results", type=Path, help="what `perf.bench --json` wrote")
    parser.add_argument("folder", type=Path, help="where CSV and plots go")
    options = parser.parse_args()
    write_report(json.loads(options.results.read_text()), options.folder)


if __name__ == "__main__":
    main()
