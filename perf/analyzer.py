"""Drives NVIDIA's perf_analyzer against the models and tabulates what it reports.

Real pictures, as pixels and as files, are sent straight to Triton, over gRPC and HTTP, with more
and more requests at once. `perf/README.md` says how to get the program.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from iqa.catalogue import METRICS
from iqa.images import luma
from iqa.metric import Metric
from perf.load.pictures import HEIGHT, WIDTH, Pair, Pixels, picture_set, read_pixels

SIZES = {
    "768x512": [(WIDTH, HEIGHT)],
    "mixed": [(WIDTH, HEIGHT), (512, 384), (1024, 768), (321, 481)],
}
PICTURES = 12  # of each size; every one is megabytes of perf_analyzer's memory
OUTPUT_BYTES = 64
PATIENCE = 60  # seconds that perf_analyzer may take besides measuring
SUFFIX = "_FILE"  # of the inputs that take files
PROTOCOLS = ("grpc", "http")
COLUMNS = {
    "Concurrency": "concurrency",
    "Inferences/Second": "inferences_per_second",
    "p50 latency": "p50_us",
    "p99 latency": "p99_us",
    "Server Queue": "queue_us",
    "Server Compute Infer": "compute_us",
}
"""perf_analyzer's names of the columns that are kept, and ours; times are in microseconds."""

Row = dict[str, str]


@dataclass(frozen=True)
class Setup:
    """How to call perf_analyzer.

    Attributes:
        program: its path, or its name where it is on the PATH.
        urls: Triton's address for each protocol.
        concurrency: numbers of requests at once.
        seconds: length of each of the three windows that perf_analyzer averages.
    """

    program: str
    urls: dict[str, str]
    concurrency: tuple[int, ...]
    seconds: float


def input_data(
    metric: Metric, pairs: Sequence[Pair], *, grey: bool = False, as_files: bool = False
) -> dict[str, Any]:
    """The pictures as perf_analyzer's `--input-data` wants them, with their shape.

    They are raw pixels, RGB or `grey`; or files, which Triton decodes.
    """
    requests = []
    for pair in pairs:
        files = (pair.distorted,) if len(metric.inputs) == 1 else (pair.original, pair.distorted)
        tensors = [_file(file) if as_files else _tensor(read_pixels(file), grey) for file in files]
        names = [name + SUFFIX if as_files else name for name in metric.inputs]
        requests.append(dict(zip(names, tensors, strict=True)))
    return {"data": requests}


def _tensor(pixels: Pixels, grey: bool) -> dict[str, Any]:
    if grey:
        pixels = luma(pixels)[:, :, None]
    content = {"b64": b64encode(pixels.tobytes()).decode()}
    return {"content": content, "shape": list(pixels.shape)}


def _file(content: bytes) -> dict[str, Any]:
    return {"content": {"b64": b64encode(content).decode()}, "shape": [len(content)]}


def analyze(metric: Metric, setup: Setup, protocol: str, memory: str, data: Path) -> list[Row]:
    """Let perf_analyzer send the pictures of `data`, at every concurrency.

    Raises:
        RuntimeError: perf_analyzer failed; with the end of what it said.
        OSError: there is no such program.
        subprocess.TimeoutExpired: it does not end.
    """
    rows = []
    for concurrency in setup.concurrency:
        with tempfile.NamedTemporaryFile(suffix=".csv") as report:
            command = [
                *(setup.program, "-m", metric.name, "-i", protocol, "-u", setup.urls[protocol]),
                *("--input-data", str(data), "--shared-memory", memory),
                *("--output-shared-memory-size", str(OUTPUT_BYTES)),
                *("--async", "--concurrency-range", str(concurrency)),
                *("--measurement-interval", str(int(1000 * setup.seconds))),
                # Three windows, whether they agree or not: unstable results are better than none.
                *("--stability-percentage", "999", "--max-trials", "3"),
                *("-f", report.name, "--verbose-csv"),
            ]
            run = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE + 10 * setup.seconds,
            )
            if run.returncode:
                said = (run.stderr or run.stdout)[-1000:]
                raise RuntimeError(f"perf_analyzer ended with {run.returncode}: {said}")
            rows += parse(Path(report.name).read_text())
    return rows


def parse(report: str) -> list[Row]:
    """The rows of a CSV report by perf_analyzer, with our names for the columns that are kept."""
    lines = csv.DictReader(report.splitlines())
    return [{ours: line[theirs] for theirs, ours in COLUMNS.items()} for line in lines]


def sweep(setup: Setup, scenes: dict[str, list[Pair]]) -> Iterator[Row]:
    """Rows for every metric, set of scenes and protocol, as they are measured.

    All goes inline: with models that have optional inputs perf_analyzer shares no memory.
    """
    for metric, (name, pairs), sent in product(METRICS, scenes.items(), ("pixels", "files")):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as data:
            json.dump(input_data(metric, pairs, as_files=sent == "files"), data)
            data.flush()
            for protocol in PROTOCOLS:
                about = {
                    "model": metric.name,
                    "pictures": name,
                    "sent": sent,
                    "protocol": protocol,
                }
                for row in analyze(metric, setup, protocol, "none", Path(data.name)):
                    yield about | row


def main() -> None:
    """Measure, and print the table as it grows."""
    parser = argparse.ArgumentParser(prog="perf.analyzer", description=__doc__)
    add = parser.add_argument
    add("--perf-analyzer", default="perf_analyzer", help="the program (default: on the PATH)")
    add("--host", default="127.0.0.1", help="where Triton is")
    add("--http-port", type=int, default=8100)
    add("--grpc-port", type=int, default=8101)
    add("--pictures", type=Path, metavar="FOLDER", help="send these (default: generated ones)")
    add("--concurrency", type=int, nargs="+", default=(1, 4, 16, 64), metavar="N")
    add("--seconds", type=float, default=2, help="of each of three windows (default: 2)")
    add("--csv", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    setup = Setup(
        options.perf_analyzer,
        {
            "grpc": f"{options.host}:{options.grpc_port}",
            "http": f"{options.host}:{options.http_port}",
        },
        tuple(options.concurrency),
        options.seconds,
    )
    if options.pictures:
        scenes = {options.pictures.name: picture_set(options.pictures)[:PICTURES]}
    else:
        scenes = {name: _generate(sizes) for name, sizes in SIZES.items()}
    rows: list[Row] = []
    for row in sweep(setup, scenes):
        if not rows:
            print(*row, sep="\t")
        print(*row.values(), sep="\t", flush=True)
        rows.append(row)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def _generate(sizes: Sequence[tuple[int, int]]) -> list[Pair]:
    """Pairs of every size, in turns."""
    sets = [picture_set(width=width, height=height)[:PICTURES] for width, height in sizes]
    return [pair for pairs in zip(*sets, strict=True) for pair in pairs]


if __name__ == "__main__":
    main()
