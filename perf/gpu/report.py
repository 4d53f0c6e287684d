"""What `perf.gpu` measured, as tables, a plot and JSON, named after the device and the day."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from iqa import catalogue


def unit(task: str) -> str:
    """Unit of a task's rate; its name begins with that of its metric."""
    inputs = catalogue.metric(task.partition(" ")[0]).inputs
    return "images/s" if len(inputs) == 1 else "pairs/s"


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        metric: a key of `check.TASKS`.
        batch: which pictures, or "Triton" where requests were sent to a server.
        subject: what was timed: "ours" (calls, one after the other), "ours, GPU time", "piq",
            "memory bandwidth", or the kind of shared memory.
        per_second: images or pairs.
    """

    metric: str
    batch: str
    subject: str
    per_second: float


@dataclass(frozen=True)
class Overhead:
    """Where the time of a call goes.

    Attributes:
        metric: a key of `check.TASKS`.
        batch: pictures or pairs in a call.
        call: seconds that it takes.
        device: seconds of it that the GPU works, by kernel and copy.
    """

    metric: str
    batch: int
    call: float
    device: dict[str, float]


@dataclass
class Report:
    """A run of `perf.gpu` on one device.

    Attributes:
        device: its name.
        rows: rates.
        overheads: times of calls.
        verdicts: the targets, and whether they were met.
        failures: what could not be measured, and why.
        date: of the run.
    """

    device: str
    rows: list[Row] = field(default_factory=list)
    overheads: list[Overhead] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    date: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Go on when the body fails, but say so in the report."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.failures.append(f"{what}: {type(error).__name__}: {error}")

    def table(self) -> str:
        """Everything in Markdown."""
        lines = [f"# {self.device}, {self.date}", "", "| metric | batch | what | rate |"]
        lines.append("| --- | --- | --- | ---: |")
        lines += [
            f"| {row.metric} | {row.batch} | {row.subject} | "
            f"{row.per_second:,.0f} {unit(row.metric)} |"
            for row in self.rows
        ]
        lines += ["", *(f"- {verdict}" for verdict in self.verdicts)]
        lines += [f"- failed: {failure}" for failure in self.failures]
        lines += ["", "| metric | in a call | call, us | GPU works, us | the rest, us |"]
        lines.append("| --- | ---: | ---: | ---: | ---: |")
        for row in self.overheads:
            call, device = 1e6 * row.call, 1e6 * sum(row.device.values())
            lines.append(
                f"| {row.metric} | {row.batch} | {call:,.0f} | {device:,.0f} | "
                f"{call - device:,.0f} |"
            )
        lines += ["", "| metric | in a call | kernel or copy | us |", "| --- | ---: | --- | ---: |"]
        lines += [
            f"| {row.metric} | {row.batch} | {name} | {1e6 * seconds:,.1f} |"
            for row in self.overheads
            for name, seconds in row.device.items()
        ]
        return "\n".join([*lines, ""])

    def write(self, folder: Path) -> list[Path]:
        """Write the three files and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", f"gpu {self.device} {self.date}".lower())
        table, data, plot = (folder / f"{name}.{suffix}" for suffix in ("md", "json", "png"))
        table.write_text(self.table())
        data.write_text(json.dumps(asdict(self), indent=2) + "\n")
        self._plot(plot)
        return [table, data, plot]

    def _plot(self, path: Path) -> None:
        from matplotlib.figure import Figure

        metrics = list(dict.fromkeys(row.metric for row in self.rows))
        figure = Figure(figsize=(14, 4), layout="constrained")
        panels = figure.subplots(1, max(1, len(metrics)), squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=False):
            rows = [row for row in self.rows if row.metric == metric]
            names = [f"{row.batch}: {row.subject}" for row in rows]
            axes.barh(names, [row.per_second for row in rows])
            axes.invert_yaxis()
            axes.set(xscale="log", xlabel=unit(metric), title=metric)
        figure.suptitle(f"{self.device}, {self.date}")
        figure.savefig(path, dpi=120)
