"""MS-SSIM on the CPU against its float64 definition and against piq, whatever the content."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageFilter
from skimage import data

import iqa
from iqa.images import Image
from iqa.ms_ssim import cpu, reference
from iqa.ms_ssim.cpu import terms
from iqa.ms_ssim.pooling import pool
from perf.baselines.piq_offline import piq

torch.set_num_threads(1)  # as fast on pictures of this size, and kind to other tests
PHOTOGRAPHS = [data.astronaut(), data.chelsea(), data.coffee(), data.camera()[:, :, None]]


def noise(generator: np.random.Generator, image: Image, deviation: float) -> Image:
    noisy = image + generator.normal(0, deviation, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def content(name: str, generator: np.random.Generator, height: int, width: int, c: int) -> Image:
    rows, columns = np.mgrid[:height, :width]
    plane: np.ndarray
    if name == "photograph":
        photograph = PHOTOGRAPHS[generator.integers(3)]
        top, left = generator.integers(0, 100, 2)
        down, across = (height + 99) // len(photograph) + 1, (width + 99) // photograph.shape[1] + 1
        tiled = np.tile(photograph, (down, across, 1))
        return np.ascontiguousarray(tiled[top : top + height, left : left + width, :c])
    if name == "noise":
        return generator.integers(0, 256, (height, width, c)).astype(np.uint8)
    if name == "gradient":
        plane = (rows * generator.integers(1, 4) + columns) * 255 / (4 * height + width)
    elif name == "flat":
        plane = np.full((height, width), generator.integers(256))
    elif name == "checkerboard":
        low, high, size = generator.integers(256), generator.integers(256), generator.integers(1, 9)
        plane = np.where((rows // size + columns // size) % 2, high, low)
    elif name == "halves":
        plane = np.where(columns < width // 2, 255, generator.integers(256))
    elif name == "saturated":
        plane = np.where(generator.random((height, width)) < 0.5, 0, 255)
    else:
        plane = np.zeros((height, width))
        plane[generator.integers(height), generator.integers(width)] = 255
    return np.repeat(plane.astype(np.uint8)[:, :, None], c, axis=2)


def distortion(name: str, generator: np.random.Generator, image: Image) -> Image:
    if name == "noise":
        return noise(generator, image, generator.uniform(1, 40))
    if name == "inverted":
        return 255 - image
    if name == "brighter":
        return np.clip(image.astype(int) + generator.integers(1, 120), 0, 255).astype(np.uint8)
    if name == "paler":
        return (image * generator.uniform(0.05, 0.95)).astype(np.uint8)
    if name == "black":
        return np.zeros_like(image)
    if name == "white":
        return np.full_like(image, 255)
    return np.ascontiguousarray(image[::-1, ::-1])


CONTENTS = [
    "photograph", "noise", "gradient", "flat", "checkerboard", "halves", "saturated", "pixel",
]  # fmt: skip
DISTORTIONS = ["noise", "inverted", "brighter", "paler", "black", "white", "turned"]


def assert_as_defined(x: Image, y: Image) -> None:
    scores = iqa.ms_ssim.score([x], [y], details=True)
    assert scores.errors == [None]
    value, scales = pool(reference.terms(x, y))
    assert scores.values[0] == pytest.approx(value, abs=1e-5)
    assert scores.scales is not None
    np.testing.assert_allclose(scores.scales[0], scales, rtol=0, atol=1e-5)


@settings(max_examples=35, deadline=None)
@given(
    st.sampled_from(CONTENTS),
    st.sampled_from(DISTORTIONS),
    st.integers(161, 420),
    st.integers(161, 420),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_is_its_definition(
    name: str, change: str, height: int, width: int, channels: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    x = content(name, generator, height, width, channels)
    assert_as_defined(x, distortion(change, generator, x))


@pytest.mark.parametrize("change", DISTORTIONS)
@pytest.mark.parametrize("name", CONTENTS)
def test_every_content_under_every_distortion(name: str, change: str) -> None:
    generator = np.random.default_rng(7)
    x = content(name, generator, 176, 163, 1)
    assert_as_defined(x, distortion(change, generator, x))


@pytest.mark.parametrize("size", [(161, 161), (161, 3200), (4200, 161), (331, 1600), (1024, 300)])
def test_blocks_meet_without_a_seam(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    x = content("photograph", generator, *size, 3)
    assert_as_defined(x, noise(generator, x, 15))


@pytest.mark.parametrize("level", range(0, 256, 15))
def test_flat_pairs_of_all_levels(level: int) -> None:
    x, y = np.full((2, 161, 170, 1), level, np.uint8)
    y = y // 3
    assert_as_defined(x, y)
    x[:, 80:], y[100:] = 255 - level, 255
    assert_as_defined(x, y)


def test_independent_noise_where_terms_nearly_vanish() -> None:
    generator = np.random.default_rng(3)
    for deviation in (5, 30, 90):
        x, y = (noise(generator, np.full((200, 220, 1), 128.0), deviation) for _ in range(2))
        assert_as_defined(x, y)


def flat_halves(levels: tuple[int, int]) -> Image:
    x = np.full((161, 161, 1), levels[0], np.uint8)
    x[:, 100:] = levels[1]
    return x


def test_what_float32_cannot_hold_is_made_in_float64() -> None:
    # Flat areas that differ much from their counterparts: variances of 0 that rounding makes some.
    pair = flat_halves((223, 30)), flat_halves((3, 221))
    expected = reference.terms(*pair)
    in_float32, found = (terms([pair], 5, limit, 1)[0] for limit in (np.inf, cpu.TOLERANCE))
    assert np.abs(in_float32 - expected).max() > 5e-5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_small_terms_are_made_in_float64() -> None:
    generator = np.random.default_rng(7)
    x = content("halves", generator, 176, 163, 1)
    y = np.zeros_like(x)
    expected = reference.score(x, y)
    assert abs(pool(terms([(x, y)], 5, cpu.TOLERANCE, 1)[0])[0] - expected) > 2e-5
    assert iqa.ms_ssim.score([x], [y]).values[0] == pytest.approx(expected, abs=1e-9)


def test_identical_images_score_exactly_one() -> None:
    generator = np.random.default_rng(0)
    images = [content(name, generator, 181, 240, 3) for name in CONTENTS]
    scores = iqa.ms_ssim.score(images, [image.copy() for image in images], details=True)
    assert scores.scales is not None
    assert (scores.values == 1).all()
    assert (scores.scales == 1).all()


def test_a_bad_pair_does_not_touch_its_neighbours() -> None:
    generator = np.random.default_rng(5)
    x = content("photograph", generator, 200, 260, 3)
    y = noise(generator, x, 10)
    references = [x, x, x[:160], x, x.astype(np.float32)]
    distorted = [y, y[:, :-1], y[:160], y, y]
    scores = iqa.ms_ssim.score(references, distorted, details=True, maps=True)
    codes = [error.code if error else None for error in scores.errors]
    assert codes == [None, "size_mismatch", "image_too_small", None, "invalid_image"]
    alone = iqa.ms_ssim.score([x], [y]).values[0]
    np.testing.assert_array_equal(scores.values, [alone, np.nan, np.nan, alone, np.nan])
    assert scores.scales is not None
    assert np.isnan(scores.scales[[1, 2, 4]]).all()
    assert scores.maps is not None
    assert [local is None for local in scores.maps] == [False, True, True, False, True]


def test_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="lists of 1 and 0 images"):
        iqa.ms_ssim.score([np.zeros((200, 200, 1), np.uint8)], [])


def test_same_bits_in_any_order_and_on_any_number_of_threads() -> None:
    generator = np.random.default_rng(11)
    sizes = [(2100, 200, 3), (161, 163, 1), (170, 3300, 1), (333, 214, 3), (161, 163, 3)]
    names = ["photograph", "halves", "noise", "checkerboard", "photograph"]
    x = [content(name, generator, *size) for name, size in zip(names, sizes, strict=True)]
    pairs = [(image, noise(generator, image, 20)) for image in x]
    alone = [cpu.rows([pair], 1).tobytes() for pair in pairs]
    for threads in (1, 2, 5, None):
        order = generator.permutation(5)
        found = cpu.rows([pairs[i] for i in order], threads)
        assert [row.tobytes() for row in found] == [alone[i] for i in order]


def test_images_with_gaps_between_their_rows() -> None:
    generator = np.random.default_rng(2)
    x = content("photograph", generator, 220, 400, 3)
    y = noise(generator, x, 9)
    assert_as_defined(x[:, 20:230], y[:, 20:230])


@pytest.mark.parametrize(
    ("height", "width", "channels"), [(200, 161, 1), (180, 3089, 3), (2100, 163, 1)]
)
def test_map_is_the_local_ssim(height: int, width: int, channels: int) -> None:
    generator = np.random.default_rng(4)
    x = content("photograph", generator, height, width, channels)
    y = noise(generator, x, 20)
    y[50:100, 30:90] = 128
    plain = iqa.ms_ssim.score([x], [y])
    scores = iqa.ms_ssim.score([x], [y], maps=True)
    assert plain.maps is None
    assert scores.maps is not None
    assert scores.values[0] == plain.values[0]
    local = scores.maps[0]
    assert local is not None
    assert local.dtype == np.float32
    expected = reference.similarity(x.astype(np.float64), y.astype(np.float64))[1].mean(axis=2)
    np.testing.assert_allclose(local, expected, rtol=0, atol=1e-6)


def jpeg(image: Image, quality: int) -> Image:
    file = io.BytesIO()
    Pillow.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Pillow.open(file)).reshape(image.shape)


def blurred(image: Image, radius: float) -> Image:
    filtered = Pillow.fromarray(image.squeeze()).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(filtered).reshape(image.shape)


def piq_score(x: Image, y: Image) -> float:
    planes = [torch.tensor(image).permute(2, 0, 1)[None].double() for image in (x, y)]
    return float(piq.multi_scale_ssim(*planes, data_range=255.0))


@pytest.mark.parametrize("photograph", range(len(PHOTOGRAPHS)))
def test_agrees_with_piq_on_photographs(photograph: int) -> None:
    generator = np.random.default_rng(photograph)
    x = PHOTOGRAPHS[photograph]
    x = np.ascontiguousarray(x[40:216, 60 : 236 + 16 * photograph])
    half = x.copy()
    half[:, 110:] = 255
    copies = [jpeg(x, 5), jpeg(x, 60), blurred(x, 1.5), noise(generator, x, 25), half]
    scores = iqa.ms_ssim.score([x] * len(copies), copies)
    expected = [piq_score(x, y) for y in copies]
    np.testing.assert_allclose(scores.values, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "channels"),
    [((176, 176), 3), ((176, 1504), 1), ((480, 320), 3), ((1504, 192), 1)],
)
def test_agrees_with_piq_where_no_side_is_odd_at_any_scale(
    size: tuple[int, int], channels: int
) -> None:
    generator = np.random.default_rng(0)
    x = content("photograph", generator, *size, channels)
    y = blurred(noise(generator, x, 8), 1)
    assert iqa.ms_ssim.score([x], [y]).values[0] == pytest.approx(piq_score(x, y), abs=1e-5)
