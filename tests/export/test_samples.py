"""The page's sample pictures are the ones that the program draws, and they show a difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import iqa
from export import samples


def test_the_shipped_pictures_are_drawn_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["samples", "--output", str(tmp_path / "drawn")])
    samples.main()
    for name in ("original.jpg", "distorted.jpg"):
        with (
            Image.open(tmp_path / "drawn" / name) as drawn,
            Image.open(samples.FOLDER / name) as own,
        ):
            assert drawn.size == own.size == (samples.WIDTH, samples.HEIGHT)
            # Not to the bit: another libjpeg, or another FFT, may round otherwise.
            differences = np.abs(np.asarray(drawn, np.int16) - np.asarray(own, np.int16))
        assert differences.mean() < 1


def test_the_copy_is_much_worse() -> None:
    original, distorted = (
        iqa.read(samples.FOLDER / name) for name in ("original.jpg", "distorted.jpg")
    )
    better, worse = iqa.brisque.score([original, distorted]).values
    assert worse > better + 10
    assert 0.3 < iqa.ms_ssim.score([original], [distorted]).values[0] < 0.97
