"""The pictures that the tests of the page choose, and their right scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

import iqa


def choose(page: Page, folder: Path, *names: str) -> None:
    page.locator("#files").set_input_files([folder / name for name in names])


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def brisque_of(path: Path) -> float:
    return float(iqa.brisque.score([pixels(path)]).values[0])
