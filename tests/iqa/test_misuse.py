"""What is no batch is refused in one sentence that says what is wanted, by every metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import iqa
from iqa.catalogue import METRICS
from iqa.metric import Metric

SOUND = np.random.default_rng(0).integers(0, 256, (170, 180, 3), dtype=np.uint8)
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def score(metric: Metric, image: Any, **options: Any) -> iqa.Scores:
    return metric.score(*([image] for _ in metric.inputs), **options)


@every_metric
@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (Image.new("RGB", (180, 170)), "PIL.Image.Image"),
        (Path("picture.png"), "Path"),
        ("picture.png", "builtins.str"),
        (b"bytes", "builtins.bytes"),
        (None, "None"),
        ([[0, 1], [2, 3]], "builtins.list"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_array_is_a_type_error(metric: Metric, wrong: Any, found: str) -> None:
    with pytest.raises(TypeError, match=r"expected uint8 arrays \[H, W, C\], got ") as raised:
        score(metric, wrong)
    assert found in str(raised.value)
    assert str(raised.value).startswith(f"{metric.inputs[0].lower()}: ")


@every_metric
@pytest.mark.parametrize("wrong", [None, "picture.png", 7, iter([SOUND])])
def test_what_is_no_list_is_a_type_error(metric: Metric, wrong: Any) -> None:
    with pytest.raises(TypeError, match="expected a list of images, got "):
        metric.score(*(wrong for _ in metric.inputs))


@every_metric
@pytest.mark.parametrize("wrong", [SOUND, torch.from_numpy(SOUND), SOUND[None]])
def test_one_array_is_no_list(metric: Metric, wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected a list of images, got one array"):
        metric.score(*(wrong for _ in metric.inputs))


@every_metric
def test_lists_must_be_as_many_as_inputs_and_equally_long(metric: Metric) -> None:
    count = len(metric.inputs)
    with pytest.raises(ValueError, match=f"expected {count} lists of images, got {count + 1}"):
        metric.score(*[[SOUND]] * (count + 1))
    if count > 1:
        with pytest.raises(ValueError, match="lists of 1 and 2 images"):
            metric.score([SOUND], [SOUND, SOUND])


@every_metric
@pytest.mark.parametrize("threads", [0, -1])
def test_threads_below_one_are_refused(metric: Metric, threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads must be at least 1, not {threads}"):
        score(metric, SOUND, threads=threads)


@every_metric
@pytest.mark.parametrize("threads", [1.5, "2"])
def test_threads_are_a_whole_number(metric: Metric, threads: Any) -> None:
    with pytest.raises(TypeError, match=f"threads must be a whole number, not {threads!r}"):
        score(metric, SOUND, threads=threads)


@every_metric
@pytest.mark.parametrize(
    "wrong",
    [SOUND.astype(np.float32), SOUND.transpose(2, 0, 1), SOUND[:, :, 0], SOUND[:, :, :2]],
    ids=["float", "CHW", "2-D", "two channels"],
)
def test_an_array_of_another_kind_is_the_error_of_its_item(metric: Metric, wrong: Any) -> None:
    lists = [[wrong, SOUND] for _ in metric.inputs]
    scores = metric.score(*lists)
    (error, none) = scores.errors
    assert error is not None
    assert error.code == "invalid_image"
    assert str(list(wrong.shape)) in error.message
    assert "uint8 [H, W, C]" in error.message
    assert none is None
    assert np.isnan(scores.values).tolist() == [True, False]


def test_a_flat_and_a_regular_picture_get_true_sentences() -> None:
    rows, columns = np.indices((64, 64))
    stripes, board = columns % 2 * 255, (rows + columns) % 2 * 255
    regular = [each.astype(np.uint8)[:, :, None] for each in (stripes, board)]
    flat = [np.full((64, 64, 3), colour, np.uint8) for colour in (200, (200, 30, 0))]
    errors = iqa.brisque.score([*flat, *regular]).errors
    assert {error and error.code for error in errors} == {"score_undefined"}
    messages = [error.message for error in errors if error]
    assert all("equally bright everywhere" in message for message in messages[:2])
    assert all("so regular" in message for message in messages[2:])


@every_metric
@pytest.mark.parametrize("device", ["cuda:63", "cuda:x", "mps", "tpu", None])
def test_a_device_that_is_not_there_is_refused_by_name(metric: Metric, device: Any) -> None:
    with pytest.raises(ValueError, match=f"{device!r}"):
        score(metric, SOUND, device=device)
