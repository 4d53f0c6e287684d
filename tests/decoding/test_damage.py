"""A file that decodes without loss gives its pixels; one of which something is missing does not."""

from __future__ import annotations

import tempfile

import jpeglib
import numpy as np
import pytest
from PIL import Image

from decoding import DecodingError, read
from tests.hostile.corpus import photograph
from tests.hostile.files import encoded

WHOLE = encoded(photograph(), "JPEG", quality=90)


def code(file: bytes) -> str:
    with pytest.raises(DecodingError) as caught:
        read(file)
    return caught.value.code


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_may_lack_its_end_marker_and_nothing_else(
    mode: str, options: dict[str, object]
) -> None:
    whole = encoded(Image.fromarray(photograph()).convert(mode), "JPEG", **options)
    np.testing.assert_array_equal(read(whole[:-2]), read(whole))
    np.testing.assert_array_equal(read(whole[:-1]), read(whole))
    for lacking in (40, 1000):
        assert code(whole[:-lacking]) == "invalid_image"


def test_a_jpeg_of_which_a_byte_of_data_is_missing_is_refused() -> None:
    assert code(WHOLE[:-3]) == "invalid_image"
    assert code(WHOLE[:-3] + WHOLE[-2:]) == "invalid_image"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("bytes_", [b"\xff\xd3\xff\xd3", bytes(2000)], ids=["four", "zeros"])
def test_a_jpeg_with_bytes_overwritten_is_refused(mode: str, bytes_: bytes) -> None:
    whole = encoded(Image.fromarray(photograph()).convert(mode), "JPEG", quality=90)
    middle = len(whole) // 2
    assert code(whole[:middle] + bytes_ + whole[middle + len(bytes_) :]) == "invalid_image"


def sampled(*factors: tuple[int, int]) -> bytes:
    """A JPEG of those sampling factors."""
    with jpeglib.version("9e"), tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        image = jpeglib.from_spatial(photograph())
        image.samp_factor = factors
        image.write_spatial(file.name, qt=90)
        return file.read()


@pytest.mark.parametrize(
    "factors",
    [
        ((4, 1), (1, 1), (1, 1)),
        ((1, 4), (1, 1), (1, 1)),  # what turning 4:1:1 gives
        ((3, 1), (1, 1), (1, 1)),  # libjpeg-turbo's own interface has no name for these
        ((1, 1), (2, 1), (1, 1)),
    ],
)
def test_every_sampling_of_a_jpegs_colours_is_read(factors: tuple[tuple[int, int], ...]) -> None:
    file = sampled(*factors)
    difference = np.abs(read(file).astype(int) - photograph())
    assert read(file).shape == photograph().shape
    assert difference.mean() < 12
    assert code(file[: len(file) // 2]) == "invalid_image"


@pytest.mark.parametrize("factors", [((4, 1), (1, 1), (1, 1)), ((1, 4), (1, 1), (1, 1))])
def test_damage_shows_in_rare_samplings_too(factors: tuple[tuple[int, int], ...]) -> None:
    whole = sampled(*factors)
    middle = len(whole) // 2
    for bytes_ in (b"\xff\xd3\xff\xd3", bytes(2000)):
        assert code(whole[:middle] + bytes_ + whole[middle + len(bytes_) :]) == "invalid_image"
    assert code(whole[:-3] + whole[-2:]) == "invalid_image"
    np.testing.assert_array_equal(read(whole[:-2]), read(whole))


def test_cmyk_is_read_as_pillow_reads_it() -> None:
    image = Image.fromarray(photograph()).convert("CMYK")
    file = encoded(image, "JPEG", quality=95)
    difference = np.abs(read(file).astype(int) - np.asarray(image.convert("RGB")))
    assert difference.mean() < 3
