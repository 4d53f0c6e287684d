"""The pictures of the load: reproducible, of the size asked for, distorted as they are named."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from perf.load.pictures import HEIGHT, WIDTH, photograph, picture_set, read_pixels

EXIF_ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def pairs():
    return picture_set()


def test_a_generated_set_is_the_same_every_time(pairs):
    assert picture_set() == pairs


def test_no_two_pictures_are_the_same(pairs):
    assert len({pair.distorted for pair in pairs}) == len(pairs) == 36
    assert len({pair.original for pair in pairs}) == 12


def test_every_degree_of_every_distortion_occurs(pairs):
    distortions = {pair.name.partition("/")[2] for pair in pairs}
    assert distortions == {
        *("jpeg-70", "jpeg-40", "jpeg-20", "jpeg-8"),
        *("blur-0.7", "blur-1.5", "blur-3.0", "blur-6.0"),
        *("noise-4.0", "noise-10.0", "noise-22.0", "noise-45.0"),
    }


def test_files_are_jpegs_of_the_size(pairs):
    for pair in pairs:
        for file in (pair.original, pair.distorted):
            with Image.open(BytesIO(file)) as image:
                assert (image.format, image.size) == ("JPEG", (WIDTH, HEIGHT))


def test_scenes_larger_than_the_photographs_go_on_by_reflection():
    assert read_pixels(photograph(1500, 1100).original).shape == (1100, 1500, 3)


def test_noise_has_the_degree_it_is_named_after(pairs):
    pair = next(pair for pair in pairs if pair.name.endswith("noise-10.0"))
    difference = read_pixels(pair.distorted).astype(float) - read_pixels(pair.original)
    luma = difference @ [0.299, 0.587, 0.114]
    # Independent noise in three channels leaves this much of it in luma.
    assert luma.std() == pytest.approx(10 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.15)


def test_a_folder_gives_its_own_files(tmp_path):
    gradient = np.tile(np.arange(200, dtype=np.uint8), (180, 1))
    Image.fromarray(gradient).save(tmp_path / "b.png")
    Image.fromarray(gradient.T).save(tmp_path / "a.bmp")
    (tmp_path / "notes.txt").write_text("not a picture")
    pairs = picture_set(tmp_path)
    assert [pair.name.partition("/")[0] for pair in pairs] == ["a"] * 3 + ["b"] * 3
    assert pairs[3].original == (tmp_path / "b.png").read_bytes()
    assert read_pixels(pairs[3].distorted).shape == (180, 200, 3)


def test_a_turned_photograph_has_distorted_copies_that_are_upright(tmp_path):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.new("RGB", (200, 180)).save(tmp_path / "turned.jpg", exif=exif)
    pair = picture_set(tmp_path)[0]
    assert read_pixels(pair.original).shape == read_pixels(pair.distorted).shape == (200, 180, 3)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        picture_set(tmp_path)
