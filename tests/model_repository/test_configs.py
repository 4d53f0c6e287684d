"""Every configuration parses, and says what the contract says."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup, ModelQueuePolicy

import iqa
from export.model_configs import REPOSITORY, VARIANTS, configuration, read, text, write
from gateway.settings import Settings
from gateway.triton.messages import URGENT
from iqa.brisque import regressor
from iqa.catalogue import METRICS, metric

# What clients of Triton rely on.
PUBLISHED = {
    "brisque": (["IMAGE"], {"SCORE": [1], "FEATURES": [36], "MAP": [-1, -1]}),
    "ms_ssim": (["REFERENCE", "DISTORTED"], {"SCORE": [1], "SCALES": [5], "MAP": [-1, -1]}),
}
CONFIGS = sorted(REPOSITORY.glob("*/config.pbtxt")) + sorted(REPOSITORY.glob("*/configs/*.pbtxt"))


def with_files(inputs: Sequence[str]) -> list[str]:
    """Each takes pixels, and has a twin that takes an image file."""
    return [name for given in inputs for name in (given, f"{given}_FILE")]


def model_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).parts[0]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_configuration_keeps_the_contract(path: Path) -> None:
    config = read(path)
    found = metric(model_of(path))
    assert config.name == model_of(path)
    assert config.backend == "python"
    assert config.max_batch_size == 64
    assert [tensor.name for tensor in config.input] == with_files(found.inputs)
    for tensor in config.input:
        assert list(tensor.dims) == ([-1] if tensor.name.endswith("_FILE") else [-1, -1, -1])
        assert tensor.allow_ragged_batch
        assert tensor.optional
    outputs = {tensor.name: list(tensor.dims) for tensor in config.output}
    assert outputs["SCORE"] == [1]
    if found.details:
        assert outputs[found.details.output] == [found.details.size]
    assert ("MAP" in outputs) == (found.map is not None)
    policy = config.dynamic_batching.default_queue_policy
    assert 0 < policy.max_queue_size <= 4096
    assert policy.timeout_action == ModelQueuePolicy.REJECT
    assert policy.allow_timeout_override
    assert policy.default_timeout_microseconds == Settings().max_request_timeout * 1e6
    # Beside that timeout a delay makes a Triton before release 26.08 slower and slower.
    assert config.dynamic_batching.max_queue_delay_microseconds == 0
    assert config.dynamic_batching.priority_levels == 2
    assert config.dynamic_batching.default_priority_level == 2 > URGENT
    assert config.model_warmup
    for warm_up in config.model_warmup:
        assert all(tensor.random_data for tensor in warm_up.inputs.values())
    assert config.parameters["version"].string_value == iqa.__version__


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_device_is_tritons_choice_by_default_and_the_variants_otherwise(path: Path) -> None:
    expected = (
        ModelInstanceGroup.KIND_AUTO if path.name == "config.pbtxt" else VARIANTS[path.stem].kind
    )
    assert [group.kind for group in read(path).instance_group] == [expected]


def test_published_weights_are_the_shipped_ones() -> None:
    parameters = read(REPOSITORY / "brisque" / "config.pbtxt").parameters
    provenance = regressor.load().provenance
    assert parameters["weights_sha256"].string_value == provenance["sha256"]
    assert parameters["weights_source"].string_value == provenance["source"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_names_and_shapes_stay(name: str) -> None:
    config = read(REPOSITORY / name / "config.pbtxt")
    inputs, outputs = PUBLISHED[name]
    assert [tensor.name for tensor in config.input] == with_files(inputs)
    assert {tensor.name: list(tensor.dims) for tensor in config.output}.items() >= outputs.items()
    assert metric(name).minimum_side == {"brisque": 16, "ms_ssim": 161}[name]


def test_every_metric_is_served() -> None:
    assert {path.parts[-2] for path in REPOSITORY.glob("*/config.pbtxt")} == {
        each.name for each in METRICS
    }


def test_configurations_are_up_to_date(tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path): path.read_text() for path in write(tmp_path)}
    shipped = REPOSITORY.rglob("*.pbtxt")
    assert written == {path.relative_to(REPOSITORY): path.read_text() for path in shipped}


def test_a_metric_needs_nothing_but_its_catalogue_entry() -> None:
    pair = METRICS[1]
    bare = replace(pair, name="new", details=None, map=None, provenance={"source": "a paper"})
    config = text_format.Parse(text(configuration(bare)), ModelConfig())
    assert config.name == "new"
    assert [tensor.name for tensor in config.input] == with_files(pair.inputs)
    assert [tensor.name for tensor in config.output] == ["SCORE"]
    assert config.parameters["source"].string_value == "a paper"
    for warm_up in config.model_warmup:
        assert set(warm_up.inputs) == set(pair.inputs)
        shapes = {tuple(tensor.dims) for tensor in warm_up.inputs.values()}
        assert len(shapes) == 1
        assert min(shapes.pop()[:2]) >= pair.minimum_side


def test_a_broken_configuration_does_not_parse() -> None:
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batch: 64", ModelConfig())
