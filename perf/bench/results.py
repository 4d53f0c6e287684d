"""What a benchmark session found out, and the medians and ratios that sum it up."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from perf.bench.contenders import CORES
from perf.load.generator import Measurement

BARE = "bare_loop"
RIVALS = ("piq_service", "in_process", BARE)
PERCENTILES = range(101)

Row = dict[str, Any]
Document = dict[str, Any]


class Results:
    """Measurements as they come in.

    Attributes:
        rounds: by contender and model, one measurement for every round.
        sweep: by contender and model, one measurement for every number of clients.
        stages: by model and number of clients, milliseconds of each stage of a request.
        batches: by model and number of clients, executions of each batch size.
    """

    def __init__(self) -> None:
        self.rounds: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
        self.sweep: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
        self.stages: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        self.batches: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)

    def ratios(self) -> dict[str, float]:
        """This service's answers per second over each rival's, median of the rounds."""
        models = dict.fromkeys(model for _, model in self.rounds)
        return {
            f"{model}_vs_{rival}": self._ratio("service", rival, model)
            for rival in RIVALS
            for model in models
        }

    def document(self) -> Document:
        """Everything, ready for JSON."""
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": _machine(),
            "ratios": self.ratios(),
            "rows": self._rows(),
            "sweep": [
                row(name, model, [measurement])
                for (name, model), measurements in self.sweep.items()
                for measurement in measurements
            ],
            "latency_percentiles_ms": {
                model: {
                    name: np.percentile(_latencies(measurements), PERCENTILES).round(3).tolist()
                    for (name, of), measurements in self.rounds.items()
                    if of == model
                }
                for model in dict.fromkeys(model for _, model in self.rounds)
            },
            "stages_ms": self.stages,
            "batches": self.batches,
        }

    def _rows(self) -> list[Row]:
        return [
            row(name, model, measurements)
            | {f"vs_{rival}": round(self._ratio(name, rival, model), 3) for rival in RIVALS}
            for (name, model), measurements in self.rounds.items()
        ]

    def _ratio(self, name: str, rival: str, model: str) -> float:
        pairs = zip(self.rounds[name, model], self.rounds[rival, model], strict=True)
        return median(rate(own) / rate(other) for own, other in pairs)


def rate(measurement: Measurement) -> float:
    """Answers per second."""
    return len(measurement.latencies) / measurement.seconds


def row(name: str, model: str, measurements: Sequence[Measurement]) -> Row:
    """Medians over measurements of one contender with equally many clients; memory's maximum."""

    def per_request(seconds: str) -> float:
        return 1e3 * median(getattr(m, seconds) / len(m.latencies) for m in measurements)

    def percentile(percent: int) -> float:
        return 1e3 * median(float(np.percentile(m.latencies, percent)) for m in measurements)

    return {
        "service": name,
        "metric": model,
        "clients": measurements[0].clients,
        "requests_per_second": round(median(map(rate, measurements)), 2),
        "p50_ms": round(percentile(50), 3),
        "p99_ms": round(percentile(99), 3),
        "cpu_ms_per_request": round(per_request("server_cpu"), 3),
        "client_cpu_ms_per_request": round(per_request("client_cpu"), 3),
        "memory_mb": round(max(m.memory for m in measurements) / 1e6),
    }


def _latencies(measurements: Sequence[Measurement]) -> Any:
    return 1e3 * np.concatenate([measurement.latencies for measurement in measurements])


def _machine() -> str:
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in processors if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {CORES} cores, Python {platform.python_version()}"
