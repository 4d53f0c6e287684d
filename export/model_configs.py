"""Writes the named variants of each model's configuration.

    python -m export.model_configs [--repository model_repository]

`config.pbtxt` is what a model is, and runs it on whatever device Triton has. A variant changes how
it is run, lies in `configs/<name>.pbtxt`, and is chosen with
`tritonserver --model-config-name=<name>`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

REPOSITORY = Path(__file__).parents[1] / "model_repository"


@dataclass(frozen=True)
class Variant:
    """How models are run.

    Attributes:
        kind: Triton's instance kind.
        instances: per device.
        queue_delay: microseconds that a request may wait for others to be scored with.
        queue_size: requests that may wait; more are refused.
        parameters: for the Python backend and for `serving.model`.
    """

    kind: int
    instances: int
    queue_delay: int
    queue_size: int
    parameters: dict[str, str]


VARIANTS = {
    "gpu": Variant(
        kind=ModelInstanceGroup.KIND_GPU,
        instances=2,  # one packs and unpacks while the other computes
        queue_delay=500,
        queue_size=4096,
        parameters={"FORCE_CPU_ONLY_INPUT_TENSORS": "no", "gpu_memory_bytes": str(4 << 30)},
    ),
}


def apply(variant: Variant, config: ModelConfig) -> ModelConfig:
    """A copy of `config` that runs as `variant` says."""
    varied = ModelConfig()
    varied.CopyFrom(config)
    del varied.instance_group[:]
    varied.instance_group.add(kind=variant.kind, count=variant.instances)
    varied.dynamic_batching.max_queue_delay_microseconds = variant.queue_delay
    varied.dynamic_batching.default_queue_policy.max_queue_size = variant.queue_size
    for key, value in variant.parameters.items():
        varied.parameters[key].string_value = value
    return varied


def read(path: Path) -> ModelConfig:
    """Parse a `config.pbtxt`.

    Raises:
        google.protobuf.text_format.ParseError: it is not one.
    """
    return text_format.Parse(path.read_text(), ModelConfig())


def write(repository: Path) -> list[Path]:
    """Write every variant of every model in `repository`; returns the files."""
    paths = []
    for base in sorted(repository.glob("*/config.pbtxt")):
        for name, variant in VARIANTS.items():
            path = base.parent / "configs" / f"{name}.pbtxt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text_format.MessageToString(apply(variant, read(base))))
            paths.append(path)
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the variants and say where."""
    parser = argparse.ArgumentParser(prog="python -m export.model_configs")
    parser.add_argument("--repository", type=Path, default=REPOSITORY)
    for path in write(parser.parse_args(arguments).repository):
        print(path)


if __name__ == "__main__":
    main()
