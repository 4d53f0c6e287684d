"""perf_analyzer against a running tritonserver, over gRPC, pixels sent in one of three ways."""

from __future__ import annotations

import csv
import subprocess
import tempfile
from pathlib import Path

from perf.gpu_report import Row
from perf.pictures import HEIGHT, WIDTH

# Shapes of the inputs: BRISQUE gets grey pictures, MS-SSIM RGB ones.
MODELS = {
    "brisque": {"IMAGE": f"{HEIGHT},{WIDTH},1"},
    "ms_ssim": {"REFERENCE": f"{HEIGHT},{WIDTH},3", "DISTORTED": f"{HEIGHT},{WIDTH},3"},
}
MEMORIES = ("none", "system", "cuda")


def command(
    model: str, memory: str, url: str, concurrency: int, seconds: float, output: Path
) -> list[str]:
    """The perf_analyzer call; windows of `seconds` are repeated until three of them agree."""
    shapes = [f"--shape={name}:{shape}" for name, shape in MODELS[model].items()]
    return [
        "perf_analyzer",
        *["-m", model, "-u", url, "-i", "grpc", *shapes],
        *[f"--shared-memory={memory}", f"--concurrency-range={concurrency}"],
        *[f"--measurement-interval={int(1000 * seconds)}", "-f", str(output)],
    ]


def throughput(table: str) -> float:
    """Inferences per second in the table that perf_analyzer writes.

    Raises:
        ValueError: the table has no such column or no line of results.
    """
    for line in csv.DictReader(table.splitlines()):
        if "Inferences/Second" in line:
            return float(line["Inferences/Second"])
    raise ValueError("perf_analyzer reported no Inferences/Second")


def perf_analyzer(model: str, memory: str, url: str, concurrency: int, seconds: float) -> Row:
    """Requests per second of one model with one kind of memory."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.csv"
        arguments = command(model, memory, url, concurrency, seconds, output)
        subprocess.run(arguments, check=True, timeout=120 + 20 * seconds)
        return Row(model, "Triton", memory, throughput(output.read_text()))
