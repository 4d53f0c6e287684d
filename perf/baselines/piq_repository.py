"""Writes a Triton model repository whose models are piq's metrics.

python -m perf.baselines.piq_repository FOLDER
iqa-serve --model-repository FOLDER
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from iqa.catalogue import METRICS
from iqa.metric import Metric

CONFIG = """# {title} by piq: an instance for every core, one item at a time.
backend: "python"
max_batch_size: 1
input [ {inputs} ]
output [ {{ name: "SCORE", data_type: TYPE_FP32, dims: [ 1 ] }} ]
instance_group [ {{ kind: KIND_CPU, count: {cores} }} ]
"""
INPUT = '{{ name: "{name}", data_type: TYPE_UINT8, dims: [ -1, -1, -1 ] }}'
MODEL = '''"""{title} by piq for Triton's Python backend."""

from iqa.catalogue import metric
from perf.baselines.piq_model import PiqModel


class TritonPythonModel(PiqModel):
    """See `PiqModel`."""

    metric = metric("{name}")
'''


def write(folder: Path) -> Path:
    """Write a model for each metric of the catalogue; returns the folder."""
    for metric in METRICS:
        model = folder / metric.name / "1" / "model.py"
        model.parent.mkdir(parents=True)
        model.write_text(MODEL.format(title=metric.title, name=metric.name))
        (folder / metric.name / "config.pbtxt").write_text(_config(metric))
    return folder


def _config(metric: Metric) -> str:
    inputs = ", ".join(INPUT.format(name=name) for name in metric.inputs)
    return CONFIG.format(title=metric.title, inputs=inputs, cores=len(os.sched_getaffinity(0)))


def main() -> None:
    """Write it where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m perf.baselines.piq_repository")
    parser.add_argument("folder", type=Path, help="is made; must not have these models yet")
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
