"""Writes the Triton configurations of every metric, from what `iqa.catalogue` says of it.

    python -m export.model_configs [--repository model_repository]

`<metric>/config.pbtxt` runs the model on whatever device Triton has. A variant in
`<metric>/configs/<name>.pbtxt` runs the same model otherwise, and is chosen with
`tritonserver --model-config-name=<name>`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import (
    TYPE_FP32,
    TYPE_UINT8,
    ModelConfig,
    ModelInstanceGroup,
    ModelQueuePolicy,
)

import iqa
from iqa.catalogue import METRICS
from iqa.metric import Metric

REPOSITORY = Path(__file__).parents[1] / "model_repository"
HEADER = "# Made by python -m export.model_configs, which says why; change it there.\n"
MAX_BATCH_SIZE = 64
SUFFIX = "_FILE"  # of an input that takes an image file in the place of pixels
NORMAL = 2  # the priority of what does not ask for 1, as the gateway's probes of readiness do
# A request may shorten its wait, not lengthen it; without one Triton ignores what a request says.
LONGEST_WAIT = 120_000_000  # microseconds, `max_request_timeout` of the gateway


@dataclass(frozen=True)
class Variant:
    """How models are run.

    Attributes:
        kind: Triton's instance kind.
        instances: per device.
        queue_size: requests that may wait; more are refused.
        parameters: for the Python backend and for `serving.model`.
    """

    kind: int
    instances: int
    queue_size: int
    parameters: Mapping[str, str] = field(default_factory=dict)


# With one instance and a bounded queue, Triton 2.51 at times leaves a request waiting for 500 ms.
# No request waits for others (max_queue_delay_microseconds): the gateway stacks what comes at once
# (docs/architecture.md), and a Triton before release 26.08 that has such a delay beside a default
# timeout gets slower from minute to minute (server issue 8870).
BASE = Variant(kind=ModelInstanceGroup.KIND_AUTO, instances=2, queue_size=1024)
VARIANTS = {
    "gpu": Variant(
        kind=ModelInstanceGroup.KIND_GPU,
        instances=2,  # one packs and unpacks while the other computes
        queue_size=4096,
        parameters={"FORCE_CPU_ONLY_INPUT_TENSORS": "no", "gpu_memory_bytes": str(4 << 30)},
    ),
}


def configuration(metric: Metric, variant: Variant = BASE) -> ModelConfig:
    """The configuration of a metric's model."""
    config = ModelConfig(name=metric.name, backend="python", max_batch_size=MAX_BATCH_SIZE)
    for name in metric.inputs:
        # A request gives either of the two. Ragged: those of different sizes share a batch.
        for twin, dims in ((name, [-1, -1, -1]), (name + SUFFIX, [-1])):
            config.input.add(
                name=twin,
                data_type=TYPE_UINT8,
                dims=dims,
                allow_ragged_batch=True,
                optional=True,
            )
    for name, dims in _outputs(metric).items():
        config.output.add(name=name, data_type=TYPE_FP32, dims=dims)
    config.instance_group.add(kind=variant.kind, count=variant.instances)
    config.dynamic_batching.priority_levels = NORMAL
    config.dynamic_batching.default_priority_level = NORMAL
    policy = config.dynamic_batching.default_queue_policy  # of each level
    policy.timeout_action = ModelQueuePolicy.REJECT
    policy.default_timeout_microseconds = LONGEST_WAIT
    policy.allow_timeout_override = True
    policy.max_queue_size = variant.queue_size
    parameters = {"version": iqa.__version__, **metric.provenance, **variant.parameters}
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    for side in _warm_up_sides(metric):
        for channels in (1, 3):
            shape = [side, side, channels]
            warm_up = config.model_warmup.add(name="x".join(map(str, shape)), batch_size=1)
            for name in metric.inputs:
                tensor = warm_up.inputs[name]
                tensor.data_type, tensor.random_data = TYPE_UINT8, True
                tensor.dims.extend(shape)
    return config


def _outputs(metric: Metric) -> dict[str, list[int]]:
    """Dimensions of each output; all but the score come only when asked for."""
    outputs = {"SCORE": [1]}
    if metric.details:
        outputs[metric.details.output] = [metric.details.size]
    if metric.map:
        outputs["MAP"] = [-1, -1]
    return outputs


def _warm_up_sides(metric: Metric) -> tuple[int, int]:
    """An even side and an odd one: at each scale the kernels treat the two differently."""
    even = -(-max(metric.minimum_side, 64) // 16) * 16
    return even, even + 1


def text(config: ModelConfig) -> str:
    """A configuration in protobuf's text format, a line for each top-level entry."""
    lines = []
    for entry, value in config.ListFields():
        parts = [value]
        if isinstance(value, MutableSequence):
            parts = [[each] for each in value]
        elif isinstance(value, MutableMapping):
            parts = [{key: value[key]} for key in sorted(value)]
        for part in parts:
            single = ModelConfig(**{entry.name: part})
            lines.append(text_format.MessageToString(single, as_one_line=True) + "\n")
    return HEADER + "".join(lines)


def read(path: Path) -> ModelConfig:
    """Parse a `config.pbtxt`.

    Raises:
        google.protobuf.text_format.ParseError: it is not one.
    """
    return text_format.Parse(path.read_text(), ModelConfig())


def write(repository: Path) -> list[Path]:
    """Write every configuration of every metric below `repository`; returns the files."""
    paths = []
    for metric in METRICS:
        folder = repository / metric.name
        named = {
            folder / "configs" / f"{name}.pbtxt": variant for name, variant in VARIANTS.items()
        }
        for path, variant in {folder / "config.pbtxt": BASE, **named}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(configuration(metric, variant)))
            paths.append(path)
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the configurations and say where."""
    parser = argparse.ArgumentParser(prog="python -m export.model_configs")
    parser.add_argument("--repository", type=Path, default=REPOSITORY)
    for path in write(parser.parse_args(arguments).repository):
        print(path)


if __name__ == "__main__":
    main()
