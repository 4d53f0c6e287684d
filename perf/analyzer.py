"""Drives NVIDIA's perf_analyzer against the models and tabulates what it reports.

Pixels of real pictures are sent straight to Triton, over gRPC and HTTP, inline and through system
shared memory, with more and more requests at once. `perf/README.md` says how to get the program.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from gateway.catalogue import METRICS, Metric
from perf.pictures import HEIGHT, WIDTH, Pair, picture_set, read_pixels

PICTURES = 12  # or pairs, per size: what is sent is JSON, five times as large as the pictures
MIXED_SIZES = ((WIDTH, HEIGHT), (512, 384), (1024, 768), (321, 481))
PROTOCOLS = ("grpc", "http")
MEMORIES = ("none", "system")
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
        concurrency: first, last and step of the requests at once, as "1:16:5".
        seconds: length of a measurement.
    """

    program: str
    urls: dict[str, str]
    concurrency: str
    seconds: float


def input_data(metric: Metric, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The pictures as perf_analyzer's `--input-data` wants them: raw pixels, with their shape."""
    requests = []
    for pair in pairs:
        files = (pair.distorted,) if len(metric.inputs) == 1 else (pair.original, pair.distorted)
        pixels = map(read_pixels, files)
        requests.append(
            {
                name: {"content": {"b64": b64encode(image).decode()}, "shape": list(image.shape)}
                for name, image in zip(metric.inputs, pixels, strict=True)
            }
        )
    return {"data": requests}
