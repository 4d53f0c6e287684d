"""The CPU kernel agrees with the float64 reference on anything, and with itself bit for bit."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from iqa import brisque
from iqa.brisque import cpu, reference
from iqa.brisque.cpu.join import BOTH
from iqa.images import Image as Pixels
from iqa.images import row_major
from tests.iqa.content import KINDS, PHOTOGRAPHS, photograph, picture

TOLERANCE = 0.02  # of the design, on any content
# Seeds of noise in which a ratio lies within 5e-10 of the middle between two fits.
TIES = (1120, 27179)
# Kinds and seeds of pictures of 50x64 with a ratio so near to the middle between two fits that
# float32 alone takes another fit than float64, on AVX2 and on AVX-512.
FLOAT32_ERRS = (
    ("photograph", 213),
    ("photograph", 630),
    ("photograph", 1172),
    ("half flat", 2281),
    ("half flat", 2811),
    ("saturated", 1362),
    ("noise", 64),
    ("noise", 685),
    ("text", 1274),
)
SHAPES = [0, 2, 6, 10, 14, 18, 20, 24, 28, 32]  # of the features, those on the grid
kinds = st.sampled_from(sorted(KINDS))
seeds = st.integers(0, 2**32 - 1)
pictures = st.builds(
    picture, kinds, st.integers(16, 140), st.integers(16, 300), st.sampled_from([1, 3]), seeds
)


def features_of(image: Pixels) -> np.ndarray:
    features = brisque.score([image], details=True).features
    assert features is not None
    return features[0]


def assert_as_reference(image: Pixels) -> None:
    expected = reference.score(image)
    scores = brisque.score([image])
    if np.isnan(expected):
        assert scores.errors[0] is not None
        assert scores.errors[0].code == "score_undefined"
        assert np.isnan(scores.values[0])
    else:
        assert scores.errors == [None]
        assert scores.values[0] == pytest.approx(expected, abs=TOLERANCE, rel=0)


@given(pictures)
@settings(max_examples=100, deadline=None, derandomize=True)
@example(picture("photograph", 16, 16, 3, 0))
@example(picture("noise", 17, 16, 1, 0))
@example(picture("noise", 16, 700, 3, 0))
@example(picture("text", 600, 17, 3, 0))
def test_any_content_and_shape_scores_as_the_reference(image: Pixels) -> None:
    assert_as_reference(image)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    ("height", "width"), [(cpu.STRIP_ROWS + 2, 96), (2 * cpu.STRIP_ROWS + 3, 33), (1201, 50)]
)
def test_an_image_of_several_strips_scores_as_the_reference(
    kind: str, height: int, width: int
) -> None:
    assert len(cpu.strips(height)) > 1
    assert_as_reference(picture(kind, height, width, 3, 1))


@pytest.mark.parametrize("kind", ["photograph", "noise", "text"])
@pytest.mark.parametrize("width", [64, 128, 256, 448, 512, 832, 1024])
def test_widths_about_whole_vectors_and_words_score_as_the_reference(kind: str, width: int) -> None:
    assert width % 64 == 0  # whole vectors at every level
    for columns in range(width - 3, width + 4):
        assert_as_reference(picture(kind, 20, columns, 3, width))


def test_float32_is_not_added_up_over_a_long_row() -> None:
    """Its rounding grows with the sum: once 0.04 on each of these, and 0.25 on wider ones."""
    dot = np.full((16, 65536, 1), 200, np.uint8)
    dot[8, 8] = 0
    ramp = np.tile((np.arange(262144) // 1024).astype(np.uint8)[None, :, None], (16, 1, 1))
    for image in (dot, ramp):
        found = brisque.score([image]).values[0]
        assert found == pytest.approx(reference.score(image), abs=1e-3, rel=0)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_score_within_a_thousandth_of_the_reference(name: str) -> None:
    image = photograph(name)
    assert brisque.score([image]).values[0] == pytest.approx(reference.score(image), abs=1e-3)


@given(st.lists(pictures, min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_no_bit_depends_on_batch_order_or_threads(images: list[Pixels], order: Any) -> None:
    alone = np.array([brisque.score([image], threads=1).values[0] for image in images])
    shuffled = order.sample(range(len(images)), len(images))
    for threads in (1, 2, 5, None):
        together = brisque.score([images[index] for index in shuffled], threads=threads)
        assert together.values.tobytes() == alone[shuffled].tobytes()


def test_no_bit_of_a_large_image_depends_on_threads() -> None:
    image = picture("photograph", 1901, 330, 3, 3)
    assert len(cpu.strips(len(image))) > 1
    scores = [brisque.score([image], details=True, threads=threads) for threads in (1, 2, 3, 7)]
    assert len({each.features.tobytes() for each in scores if each.features is not None}) == 1
    assert len({each.values.tobytes() for each in scores}) == 1


@pytest.mark.parametrize("seed", TIES)
def test_ties_are_decided_in_float64(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (16, 17, 1), dtype=np.uint8)
    features, expected = features_of(image), reference.features(image)
    np.testing.assert_array_equal(features[SHAPES], expected[SHAPES])
    scales = zip(features.reshape(2, 18), expected.reshape(2, 18), strict=True)
    assert any(np.allclose(own, exact, rtol=1e-9, atol=0) for own, exact in scales)


@pytest.mark.parametrize(("kind", "seed"), FLOAT32_ERRS)
def test_fits_are_those_of_float64_where_float32_errs(kind: str, seed: int) -> None:
    image = picture(kind, 50, 64, 1, seed)
    np.testing.assert_array_equal(features_of(image)[SHAPES], reference.features(image)[SHAPES])


def test_only_the_tied_scale_is_fitted_again() -> None:
    image = picture("photograph", 50, 64, 3, 1)
    expected = reference.features(image)
    for tied in (1, 2, 3):
        row = np.zeros(37)
        cpu.score_whole(row_major(image), image.shape, np.float64, tied, row)
        for scale, own in enumerate(row[1:].reshape(2, 18)):
            wanted = expected.reshape(2, 18)[scale] if tied >> scale & 1 else np.zeros(18)
            np.testing.assert_allclose(own, wanted, rtol=1e-9)


@given(pictures)
@settings(max_examples=50, deadline=None, derandomize=True)
@example(picture("half flat", 1201, 50, 3, 3))
def test_what_float64_decides_is_the_reference(image: Pixels) -> None:
    row = np.empty(37)
    cpu.score_whole(row_major(image), image.shape, np.float64, BOTH, row)
    np.testing.assert_allclose(row[1:], reference.features(image), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(row[0], reference.score(image), rtol=1e-9)


@pytest.mark.parametrize("shape", [(16, 16, 3), (64, 256, 1), (177, 301, 3), (530, 71, 1)])
def test_nothing_is_read_that_was_not_written(shape: tuple[int, int, int]) -> None:
    image = picture("text", *shape, 5)
    expected = brisque.score([image], details=True, threads=1).features
    for width in (shape[1], 2 * shape[1]):
        for dtype in (np.float32, np.float64):
            for buffer in cpu._memory.of(width, dtype):
                buffer.reshape(-1).view(np.uint8).fill(0xFF)  # nan, where it is of floats
        found = brisque.score([image], details=True, threads=1).features
        cpu.score_whole(row_major(image), image.shape, np.float64, BOTH, row := np.empty(37))
        np.testing.assert_allclose(row[1:], reference.features(image), rtol=1e-9)
        assert expected is not None
        assert found is not None
        assert found.tobytes() == expected.tobytes()


def test_grey_and_equal_channels_are_one_picture() -> None:
    grey = photograph("camera")
    values = brisque.score([grey, np.repeat(grey, 3, axis=2)]).values
    assert values[0] == values[1]


@pytest.mark.parametrize("view", ["reversed", "cropped", "planar", "read-only"])
def test_any_memory_layout_gives_the_same_bits(view: str) -> None:
    image = picture("photograph", 64, 90, 3, 4)
    other = {
        "reversed": np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1],
        "cropped": np.pad(image, ((3, 4), (5, 6), (0, 0)))[3:-4, 5:-6],
        "planar": np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0),
        "read-only": np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape),
    }[view]
    rows = brisque.score([image, other], details=True).features
    assert rows is not None
    assert rows[0].tobytes() == rows[1].tobytes()


def test_a_bad_image_does_not_spoil_its_neighbours() -> None:
    good = picture("photograph", 40, 50, 3, 5)
    bad = [np.zeros((15, 40, 3), np.uint8), np.zeros((20, 20, 4), np.uint8), good.astype(np.int16)]
    scores = brisque.score([bad[0], good, bad[1], bad[2], np.zeros((30, 30, 1), np.uint8)])
    codes = [None if error is None else error.code for error in scores.errors]
    assert codes == [
        "image_too_small", None, "invalid_image", "invalid_image", "score_undefined",
    ]  # fmt: skip
    assert scores.values[1] == brisque.score([good]).values[0]
    assert np.isnan(np.delete(scores.values, 1)).all()


def test_features_come_when_asked_for() -> None:
    image = picture("photograph", 60, 70, 3, 6)
    scores = brisque.score([image], details=True)
    assert scores.features is not None
    np.testing.assert_allclose(scores.features[0], reference.features(image), rtol=2e-3, atol=1e-5)
    assert brisque.score([image]).features is None


def test_an_empty_batch_has_no_scores() -> None:
    scores = brisque.score([])
    assert scores.values.shape == (0,)
    assert scores.errors == []


def test_nothing_of_the_size_of_the_image_is_allocated() -> None:
    image = np.random.default_rng(7).integers(0, 256, (4000, 3000, 3), dtype=np.uint8)
    brisque.score([image])
    tracemalloc.start()
    try:
        brisque.score([image], threads=1)
        assert tracemalloc.get_traced_memory()[1] < image.nbytes / 20
    finally:
        tracemalloc.stop()
