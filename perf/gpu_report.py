"""What `perf.gpu` measured, as a table, a plot and JSON, named after the device and the day."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

UNITS = {"brisque": "images/s", "ms_ssim": "pairs/s"}


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        metric: "brisque" or "ms_ssim".
        batch: which pictures, or "Triton" where requests were sent to a server.
        subject: what was timed: "ours", "piq", "memory bandwidth", or the kind of shared memory.
        per_second: images or pairs.
    """

    metric: str
    batch: str
    subject: str
    per_second: float


@dataclass(frozen=True)
class Report:
    """A run of `perf.gpu` on one device."""

    device: str
    rows: Sequence[Row]
    verdicts: Sequence[str]
    date: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")

    def table(self) -> str:
        """The rows in Markdown, the targets below."""
        lines = [f"# {self.device}, {self.date}", "", "| metric | batch | what | rate |"]
        lines.append("| --- | --- | --- | ---: |")
        lines += [
            f"| {row.metric} | {row.batch} | {row.subject} | "
            f"{row.per_second:,.0f} {UNITS[row.metric]} |"
            for row in self.rows
        ]
        return "\n".join([*lines, "", *(f"- {verdict}" for verdict in self.verdicts), ""])

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

        figure = Figure(figsize=(9, 4), layout="constrained")
        for axes, (metric, unit) in zip(figure.subplots(1, 2), UNITS.items(), strict=True):
            rows = [row for row in self.rows if row.metric == metric]
            names = [f"{row.batch}: {row.subject}" for row in rows]
            axes.barh(names, [row.per_second for row in rows])
            axes.invert_yaxis()
            axes.set(xscale="log", xlabel=unit, title=metric)
        figure.suptitle(f"{self.device}, {self.date}")
        figure.savefig(path, dpi=120)
