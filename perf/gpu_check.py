"""The batches that a GPU is measured on, and whether it scores them as the CPU does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iqa import brisque, ms_ssim
from perf.pictures import HEIGHT, WIDTH, Pixels, picture_set, read_pixels

BATCH = 64
SEED = 7
LARGEST_DIFFERENCE = {"brisque": 0.01, "ms_ssim": 1e-5}


@dataclass(frozen=True)
class Batch:
    """Pairs of RGB pictures `[H, W, 3]`; BRISQUE takes the distorted ones, in grey."""

    name: str
    originals: list[Pixels]
    distorted: list[Pixels]

    @property
    def grey(self) -> list[Pixels]:
        """Grey planes `[H, W, 1]`: the green of each distorted picture."""
        return [np.ascontiguousarray(image[:, :, 1:2]) for image in self.distorted]

    @property
    def pixels(self) -> int:
        """Pixels of one picture of each pair, together."""
        return sum(image.shape[0] * image.shape[1] for image in self.distorted)


def batches() -> list[Batch]:
    """The same number of pictures of one size, and of sides anywhere between half and all of it."""
    random = np.random.default_rng(SEED)
    pairs = [(read_pixels(pair.original), read_pixels(pair.distorted)) for pair in picture_set()]
    uniform = [pairs[index % len(pairs)] for index in range(BATCH)]
    mixed = []
    for original, copy in uniform:
        height = random.integers(HEIGHT // 2, HEIGHT, endpoint=True)
        width = random.integers(WIDTH // 2, WIDTH, endpoint=True)
        mixed.append((original[:height, :width].copy(), copy[:height, :width].copy()))
    return [
        Batch(f"{WIDTH}x{HEIGHT}", *map(list, zip(*uniform, strict=True))),
        Batch("mixed sizes", *map(list, zip(*mixed, strict=True))),
    ]


def extremes() -> Batch:
    """What float32 gets wrong first: flat paper, a slope, noise, at even and odd sides."""
    random = np.random.default_rng(SEED)
    pictures = []
    for height, width in ((170, 200), (171, 201), (162, 333)):
        rows, columns, _ = np.indices((height, width, 3))
        paper = np.full((height, width, 3), 255)
        paper[20:60:4, 30:90] = 10
        pictures += [paper, (rows + 2 * columns) // 4, random.integers(0, 256, paper.shape)]
    originals = [picture.astype(np.uint8) for picture in pictures]
    noise = [random.integers(-3, 4, picture.shape) for picture in pictures]
    copies = [np.clip(a + b, 0, 255).astype(np.uint8) for a, b in zip(pictures, noise, strict=True)]
    return Batch("extremes", [*originals, *originals], [*originals, *copies])


def disagreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Largest difference of two devices' scores; infinite if only one of them has a score."""
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return float("inf")
    return float(np.nanmax(np.abs(one - other), initial=0.0))


def check(batch: Batch, device: str) -> dict[str, float]:
    """Largest difference between GPU and CPU over a batch, in grey and RGB, per metric."""
    differences = dict.fromkeys(LARGEST_DIFFERENCE, 0.0)
    for images in (batch.distorted, batch.grey):
        there = brisque.score(images, device=device)
        differences["brisque"] = max(
            differences["brisque"], disagreement(there.values, brisque.score(images).values)
        )
    pairs = batch.originals, batch.distorted
    there_pairs = ms_ssim.score(*pairs, device=device)
    differences["ms_ssim"] = disagreement(there_pairs.values, ms_ssim.score(*pairs).values)
    return differences
