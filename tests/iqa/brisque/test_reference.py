"""BRISQUE agrees with piq in float64 where no pixel is flat and no side is odd."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from iqa import brisque
from iqa.brisque import reference
from iqa.images import Image as Pixels
from iqa.images import luma
from perf.baselines.piq_offline import piq
from tests.iqa.content import photograph

TOLERANCE = 0.01  # of the design, where no pixel is flat


def piq_score(image: Pixels) -> float:
    """piq's in float64, of the luma plane: its own conversion from RGB rounds in another way."""
    plane = torch.from_numpy(luma(image).astype(np.float64))[None, None]
    return float(piq.brisque(plane, data_range=255))


def has_flat_pixels(image: Pixels) -> bool:
    full = luma(image).astype(np.float64)
    return any((reference.mscn(plane) == 0).any() for plane in (full, reference.halve(full)))


def spoiled(image: Pixels, how: str, amount: float) -> Pixels:
    picture = Image.fromarray(image)
    if how == "jpeg":
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=int(amount))
        return np.asarray(Image.open(buffer))
    if how == "blur":
        return np.asarray(picture.filter(ImageFilter.GaussianBlur(amount)))
    noise = np.random.default_rng(0).normal(0, amount, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


SPOILED = [
    ("jpeg", 95), ("jpeg", 50), ("jpeg", 10), ("blur", 0.8), ("blur", 3), ("noise", 3),
    ("noise", 30),
]  # fmt: skip


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize(("how", "amount"), SPOILED)
def test_photographs_and_spoiled_copies_score_as_in_piq(name: str, how: str, amount: float) -> None:
    image = photograph(name)
    # Noise that no filter can flatten keeps every pixel off its neighbourhood's mean.
    grain = np.random.default_rng(1).integers(-2, 3, image.shape)
    grainy = np.clip(spoiled(image, how, amount) + grain, 0, 255).astype(np.uint8)[4:-4, 4:-4]
    grainy = grainy[: len(grainy) // 2 * 2, : grainy.shape[1] // 2 * 2]
    if has_flat_pixels(grainy):
        pytest.skip("flat pixels, of which piq's rounding noise has a random sign")
    values = brisque.score([grainy, luma(grainy)[:, :, None]]).values
    assert values[0] == values[1]
    assert values[0] == pytest.approx(piq_score(grainy), abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width"), [(16, 16), (18, 30), (34, 1500), (602, 50), (100, 150)]
)
def test_any_even_size_scores_as_in_piq(height: int, width: int, channels: int) -> None:
    noise = np.random.default_rng(height + width).normal(110, 30, (height, width, channels))
    image = np.clip(np.round(noise), 0, 255).astype(np.uint8)
    assert not has_flat_pixels(image)
    value = brisque.score([image]).values[0]
    assert value == pytest.approx(piq_score(image), abs=TOLERANCE, rel=0)


def test_a_constant_plane_has_no_coefficients_inside() -> None:
    coefficients = reference.mscn(np.full((20, 30), 77.0))
    assert (coefficients[3:-3, 3:-3] == 0).all()
    assert (coefficients[0] != 0).all()
