"""The pictures that the tests of the page choose, and their right scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

import iqa


def choose(page: Page, folder: Path, *names: str) -> None:
    page.locator("#files").set_input_files([folder / name for name in names])


def show_map(page: Page) -> None:
    """Want the map, and wait until it is there."""
    page.get_by_label("Show the map").check()
    expect(page.locator("#map-note")).not_to_have_text("Computing the map…")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def brisque_of(path: Path) -> float:
    return float(iqa.brisque.score([pixels(path)]).values[0])
