"""How batching in Triton is set, one setting against another: `python -m perf.sweep`.

The whole service runs once for each setting. All take turns, with one client and with 50.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from export.model_configs import REPOSITORY, read
from iqa.catalogue import METRICS
from perf.bench.__main__ import CLIENTS, await_start
from perf.bench.contenders import PORTS, Contender, service
from perf.bench.results import rate
from perf.load.calls import TOLERANCE, calls
from perf.load.generator import Measurement, Meter, measure
from perf.load.pictures import picture_set
from perf.load.processes import Server

Setting = Mapping[str, int]

DEFAULT = {"delay_us": 0, "batch": 64, "instances": 2}
CHANGES = {"delay_us": (100, 200, 1000), "batch": (1, 8), "instances": (1,)}
SETTINGS = [DEFAULT] + [
    DEFAULT | {name: value} for name, values in CHANGES.items() for value in values
]
LOADS = list(product(METRICS, (1, CLIENTS)))


def repository(folder: Path, setting: Setting) -> Path:
    """A copy of the model repository, set like that."""
    shutil.copytree(REPOSITORY, folder)
    for path in folder.glob("*/config.pbtxt"):
        config = read(path)
        config.dynamic_batching.max_queue_delay_microseconds = setting["delay_us"]
        config.max_batch_size = setting["batch"]
        config.instance_group[0].count = setting["instances"]
        path.write_text(text_format.MessageToString(config))
    return folder


def run(rounds: int, seconds: float, first_port: int) -> dict[tuple[int, int], list[Measurement]]:
    """Measurements by index of the setting and of the load."""
    found: dict[tuple[int, int], list[Measurement]] = defaultdict(list)
    sent = {metric.name: calls(metric, picture_set()) for metric in METRICS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iqa-sweep-")))
        running: list[tuple[Contender, Server]] = []
        for index, setting in enumerate(SETTINGS):
            models = repository(folder / str(index), setting)
            contender = service(first_port + PORTS * index, ["--model-repository", str(models)])
            server = Server(contender.command, folder / f"{index}.log")
            stack.callback(server.stop)
            await_start(contender, server, [each[0] for each in sent.values()])
            running.append((contender, server))
        for _ in range(rounds):
            for load, (metric, clients) in enumerate(LOADS):
                for index, (contender, server) in enumerate(running):
                    measurement = measure(
                        contender.port,
                        sent[metric.name],
                        Meter(server.cpu_seconds, server.memory),
                        clients=clients,
                        seconds=seconds,
                        tolerance=TOLERANCE,
                    )
                    found[index, load].append(measurement)
    return found


def table(found: Mapping[tuple[int, int], list[Measurement]]) -> str:
    """Medians of the rounds, as a Markdown table."""
    titles = [*DEFAULT]
    for metric, clients in LOADS:
        what = "p50 ms" if clients == 1 else "req/s, p99 ms"
        titles.append(f"{metric.title}, {clients} client{'s' * (clients > 1)}: {what}")
    lines = [f"| {' | '.join(titles)} |", "|--:" * len(titles) + "|"]
    for index, setting in enumerate(SETTINGS):
        cells = [str(value) for value in setting.values()]
        for load, (_, clients) in enumerate(LOADS):
            measurements = found[index, load]
            share = 50 if clients == 1 else 99
            waits = [np.percentile(each.latencies, share) * 1e3 for each in measurements]
            wait = f"{np.median(waits):.{1 if clients == 1 else 0}f}"
            rates = f"{np.median([rate(each) for each in measurements]):.0f}, "
            cells.append(wait if clients == 1 else rates + wait)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="perf.sweep", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--port", type=int, default=18000, help=f"the first of {PORTS} a setting")
    options = parser.parse_args()
    print(table(run(options.rounds, options.seconds, options.port)))


if __name__ == "__main__":
    main()
