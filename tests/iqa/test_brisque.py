"""BRISQUE on the CPU against its float64 definition and against piq, whatever the content."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw
from skimage import data

import iqa
from iqa.brisque import cpu, reference, regressor
from iqa.images import Image, luma
from perf.piq_offline import piq

PHOTOGRAPHS: dict[str, Image] = {
    "astronaut": data.astronaut(),
    "camera": data.camera()[:, :, None],
    "chelsea": data.chelsea(),
    "coffee": data.coffee(),
    "coins": data.coins()[:, :, None],
    "moon": data.moon()[:, :, None],
}
CONTENTS = [
    "photograph", "noise", "dim noise", "ramp", "slow ramp", "flat", "half flat", "checkerboard",
    "bright pixel", "saturated", "text",
]  # fmt: skip
TOLERANCE = 0.02


def text(height: int, width: int) -> NDArray[np.uint8]:
    page = Pillow.new("L", (width, height), 255)
    ImageDraw.Draw(page).multiline_text((2, 2), "\n".join(["The quick brown fox " * 12] * 40))
    return np.array(page)


def content(name: str, random: np.random.Generator, height: int, width: int, c: int) -> Image:
    rows, columns = np.mgrid[:height, :width]
    plane: NDArray[np.generic]
    if name == "photograph":
        tiled = np.tile(PHOTOGRAPHS["coffee"], (2, 2, 1))
        top, left = random.integers(0, 200, 2)
        return np.ascontiguousarray(tiled[top : top + height, left : left + width, :c])
    if name == "noise":
        return random.integers(0, 256, (height, width, c)).astype(np.uint8)
    if name == "dim noise":
        return random.integers(100, 103, (height, width, c)).astype(np.uint8)
    if name == "ramp":
        plane = random.integers(0, 5) * rows + random.integers(1, 5) * columns
    elif name == "slow ramp":
        plane = (rows + columns) // random.integers(2, 9)
    elif name == "flat":
        plane = np.full((height, width), random.integers(256))
    elif name == "half flat":
        photograph = np.tile(luma(PHOTOGRAPHS["astronaut"]), (3, 2))[:height, :width]
        plane = np.where(columns < width // 2, random.integers(256), photograph)
    elif name == "checkerboard":
        size = random.integers(1, 9)
        plane = np.where((rows // size + columns // size) % 2, *random.integers(0, 256, 2))
    elif name == "bright pixel":
        plane = np.zeros((height, width))
        plane[random.integers(height), random.integers(width)] = 255
    elif name == "saturated":
        photograph = np.tile(luma(PHOTOGRAPHS["astronaut"]), (3, 2))[:height, :width]
        plane = np.clip(photograph.astype(int) * 4 - 300, 0, 255)
    else:
        plane = text(height, width)
    return np.repeat(plane.astype(np.uint8)[:, :, None], c, axis=2)


def assert_as_defined(image: Image) -> None:
    expected = reference.features(image)
    scores = iqa.brisque.score([image])
    if np.isnan(expected).any():
        assert np.isnan(scores.values[0])
        assert scores.errors[0] is not None
        assert scores.errors[0].code == "score_undefined"
    else:
        assert scores.errors == [None]
        value = regressor.load().scores(expected[None])[0]
        assert scores.values[0] == pytest.approx(value, rel=0, abs=TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CONTENTS),
    st.integers(16, 300),
    st.integers(16, 300),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_is_its_definition(name: str, height: int, width: int, channels: int, seed: int) -> None:
    assert_as_defined(content(name, np.random.default_rng(seed), height, width, channels))


@pytest.mark.parametrize("shape", [(16, 16), (17, 16), (16, 17), (17, 17), (16, 900), (701, 16)])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_content_on_narrow_images(name: str, shape: tuple[int, int]) -> None:
    assert_as_defined(content(name, np.random.default_rng(3), *shape, 3))


@pytest.mark.parametrize("height", [511, 512, 513, 514, 1025, 1026])
def test_where_strips_begin(height: int) -> None:
    assert_as_defined(content("photograph", np.random.default_rng(5), height, 66, 3))


@pytest.mark.parametrize("width", [94, 96, 97, 103, 192, 193])
def test_where_blocks_of_columns_begin(width: int) -> None:
    assert_as_defined(content("half flat", np.random.default_rng(5), 60, width, 1))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs(name: str) -> None:
    assert_as_defined(PHOTOGRAPHS[name])


def piq_score(image: Image) -> float:
    plane = torch.tensor(luma(image), dtype=torch.float64)[None, None]
    return float(piq.brisque(plane, data_range=255.0))


@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "coins"])
def test_is_piq_in_float64_where_nothing_is_flat(name: str, odd: int) -> None:
    image = PHOTOGRAPHS[name][odd:280, odd:360]
    grain = np.random.default_rng(1).integers(-6, 7, image.shape)
    image = np.clip(image.astype(int) + grain, 0, 255).astype(np.uint8)
    coefficients = reference.mscn(luma(image).astype(float))
    assert (coefficients != 0).all()
    score = iqa.brisque.score([image]).values[0]
    assert score == pytest.approx(piq_score(image), rel=0, abs=0.01)


def batch() -> list[Image]:
    random = np.random.default_rng(11)
    sizes = [(16, 16), (600, 64), (97, 211), (130, 128), (64, 500), (1100, 33)]
    return [
        content(name, random, *size, channels)
        for name in ("photograph", "half flat")
        for size in sizes
        for channels in (1, 3)
    ]


def test_bits_depend_on_nothing_but_the_image() -> None:
    images = batch()
    alone = [cpu.features([image], threads=1)[0] for image in images]
    scores = [iqa.brisque.score([image], threads=1).values[0] for image in images]
    random = np.random.default_rng(2)
    for threads in (1, 2, 3, 8, None):
        order = random.permutation(len(images))
        shuffled = iqa.brisque.score([images[i] for i in order], features=True, threads=threads)
        assert shuffled.features is not None
        np.testing.assert_array_equal(shuffled.features, np.array([alone[i] for i in order]))
        np.testing.assert_array_equal(shuffled.values, np.array([scores[i] for i in order]))


def test_any_layout_of_the_pixels_gives_the_same_bits() -> None:
    image = content("photograph", np.random.default_rng(4), 120, 90, 3)
    expected = iqa.brisque.score([image]).values
    strided = np.zeros((240, 180, 3), np.uint8)[::2, ::2]
    strided[:] = image
    frozen = np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape)
    for same in (strided, np.asfortranarray(image), frozen):
        np.testing.assert_array_equal(iqa.brisque.score([same]).values, expected)


def test_grey_rgb_is_grey() -> None:
    grey = PHOTOGRAPHS["camera"]
    scores = iqa.brisque.score([grey, np.repeat(grey, 3, axis=2)]).values
    assert scores[0] == scores[1]


def test_a_bad_item_leaves_its_neighbours() -> None:
    good = content("photograph", np.random.default_rng(9), 80, 70, 3)
    flat = np.full((40, 40, 1), 7, np.uint8)
    bad: list[Image] = [good[:15], flat, flat[:, :, 0], good[:, :, :2]]
    scores = iqa.brisque.score([good, *bad, good])
    codes = [error.code if error else None for error in scores.errors]
    assert codes == [
        None, "image_too_small", "score_undefined", "invalid_image", "invalid_image", None,
    ]  # fmt: skip
    assert np.isnan(scores.values[1:5]).all()
    assert scores.values[0] == scores.values[5] == iqa.brisque.score([good]).values[0]
    assert scores.features is None


def test_an_empty_batch_has_no_scores() -> None:
    assert iqa.brisque.score([]).values.shape == (0,)


def test_noise_makes_a_photograph_worse() -> None:
    clean = PHOTOGRAPHS["coffee"]
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    values = iqa.brisque.score([clean, noisy]).values
    assert values[1] > values[0] + 10
