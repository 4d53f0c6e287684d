"""The benchmark: this service, its alternatives and the bare loop, in turns on one machine.

`python -m perf.bench --help` says what can be chosen; `perf/README.md` says what is measured.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from iqa.brisque.catalogue import BRISQUE
from iqa.catalogue import METRICS
from iqa.metric import Metric
from iqa.ms_ssim.catalogue import MS_SSIM
from perf.baselines import piq_repository
from perf.bench.bare import BareLoop
from perf.bench.contenders import CORES, Contender, contenders
from perf.bench.report import table, write_report
from perf.bench.results import BARE, Results, rate
from perf.bench.stages import read_counters
from perf.load.calls import TOLERANCE, Call, calls
from perf.load.exchanges import RefusedError
from perf.load.generator import Measurement, Meter, ask, measure
from perf.load.pictures import picture_set
from perf.load.processes import Server

CLIENTS = 50
START_TIMEOUT = 180.0  # seconds


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        names: of the contenders.
        metrics: that they compute.
        rounds: turns of every contender with 50 clients.
        seconds: length of each measurement.
        sweep: numbers of clients that the swept contenders are measured with once.
        swept: their names.
    """

    names: tuple[str, ...]
    metrics: tuple[Metric, ...]
    rounds: int
    seconds: float
    sweep: tuple[int, ...]
    swept: tuple[str, ...]


QUICK = Plan(
    names=("service", "in_process", "piq_service"),
    metrics=(BRISQUE, MS_SSIM),
    rounds=3,
    seconds=4,
    sweep=(1, 8, 256),
    swept=("service",),
)
FULL = Plan(
    names=("service", "in_process", "piq_service", "triton_piq"),
    metrics=METRICS,
    rounds=5,
    seconds=10,
    sweep=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    swept=("service", "in_process", "piq_service"),
)


class Session:
    """Contenders that run, and the measurements taken of them.

    Attributes:
        results: so far.
    """

    def __init__(
        self, plan: Plan, entrants: Sequence[Contender], servers: Mapping[str, Server]
    ) -> None:
        self.results = Results()
        self._plan = plan
        self._entrants = entrants
        self._servers = servers
        self._bare = BareLoop(CORES)
        pairs = picture_set()
        self._calls = {
            (contender.name, metric.name): calls(metric, pairs, contender.score)
            for contender in entrants
            for metric in plan.metrics
        }

    def check(self) -> None:
        """Wait until every contender answers, and compare all of its scores with the right ones."""
        for contender in self._entrants:
            first = [self._calls[contender.name, metric.name][0] for metric in self._plan.metrics]
            await_start(contender, self._servers[contender.name], first)
            for metric in self._plan.metrics:
                for call in self._calls[contender.name, metric.name]:
                    ask(contender.port, call, TOLERANCE)
            _say(f"{contender.title}: every score is right")

    def run_round(self) -> None:
        """Give every contender its turn with 50 clients, and the bare loop its own."""
        for metric in self._plan.metrics:
            for contender in self._entrants:
                measurement = self._measure(contender, metric, CLIENTS)
                self.results.rounds[contender.name, metric.name].append(measurement)
            measurement = self._measure_bare(metric, CORES)
            self.results.rounds[BARE, metric.name].append(measurement)

    def run_sweep(self) -> None:
        """Vary the number of clients; the bare loop runs once on one core."""
        swept = [contender for contender in self._entrants if contender.name in self._plan.swept]
        for metric in self._plan.metrics:
            for clients in self._plan.sweep:
                for contender in swept:
                    measurement = self._measure(contender, metric, clients)
                    self.results.sweep[contender.name, metric.name].append(measurement)
            self.results.sweep[BARE, metric.name].append(self._measure_bare(metric, 1))

    def stop(self) -> None:
        """End the bare loop's processes."""
        self._bare.stop()

    def _measure(self, contender: Contender, metric: Metric, clients: int) -> Measurement:
        server = self._servers[contender.name]
        before = read_counters(metric, contender) if contender.name == "service" else None
        measurement = measure(
            contender.port,
            self._calls[contender.name, metric.name],
            Meter(server.cpu_seconds, server.memory),
            clients=clients,
            seconds=self._plan.seconds,
            tolerance=TOLERANCE,
        )
        if before:
            counted = read_counters(metric, contender) - before
            self.results.stages[metric.name][str(clients)] = counted.milliseconds()
            batches = {str(size): count for size, count in sorted(counted.batches.items())}
            self.results.batches[metric.name][str(clients)] = batches
        _say_measured(contender.title, metric, measurement)
        return measurement

    def _measure_bare(self, metric: Metric, processes: int) -> Measurement:
        own_calls = self._calls["service", metric.name]
        measurement = self._bare.measure(own_calls, processes=processes, seconds=self._plan.seconds)
        _say_measured("bare loop", metric, measurement)
        return measurement


def await_start(contender: Contender, server: Server, first_calls: Sequence[Call]) -> None:
    """Wait until a contender answers these calls rightly.

    Raises:
        RuntimeError: it has ended.
        WrongAnswerError: an answer was not the expected score.
        OSError, RefusedError: it still does not answer after `START_TIMEOUT` seconds.
    """
    patience = time.monotonic() + START_TIMEOUT
    for call in first_calls:
        while True:
            server.require_running()
            try:
                ask(contender.port, call, TOLERANCE)
                break
            except (OSError, RefusedError):
                if time.monotonic() > patience:
                    raise
                time.sleep(0.5)


def run(plan: Plan, first_port: int) -> Results:
    """Carry out the plan, on loopback ports from `first_port` on."""
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iqa-bench-")))
        models = piq_repository.write(logs / "piq")
        entrants = [each for each in contenders(first_port, models) if each.name in plan.names]
        servers = {}
        for contender in entrants:
            servers[contender.name] = Server(contender.command, logs / f"{contender.name}.log")
            stack.callback(servers[contender.name].stop)
        session = Session(plan, entrants, servers)
        stack.callback(session.stop)
        session.check()
        for number in range(plan.rounds):
            _say(f"round {number + 1} of {plan.rounds}")
            session.run_round()
        _say("clients from few to many")
        session.run_sweep()
        return session.results


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say_measured(title: str, metric: Metric, measurement: Measurement) -> None:
    _say(f"  {metric.title:8} {title:28} {measurement.clients:3} {rate(measurement):8.1f}/s")


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="perf.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 8 minutes, fewer contenders")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write CSV and plots there")
    parser.add_argument("--port", type=int, default=18000, help="the first of 40 ports")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server is left behind
    document = run(QUICK if options.quick else FULL, options.port).document()
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.report:
        write_report(document, options.report)
    print(table(document))


if __name__ == "__main__":
    main()
