"""The batches and tasks that a GPU is measured on, and whether it scores them as the CPU does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.catalogue import METRICS
from iqa.metric import Metric
from iqa.ms_ssim.pooling import MINIMUM_SIDE
from perf.load.pictures import HEIGHT, WIDTH, Pixels, picture_set, read_pixels

BATCH = 64
SEED = 7
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """Pairs of pictures, arrays or tensors.

    Attributes:
        name: for tables.
        originals: RGB `[H, W, 3]`.
        distorted: as many, of the same sizes.
        grey: `[H, W, 1]`, the green of each distorted picture.
    """

    name: str
    originals: Sequence[Any]
    distorted: Sequence[Any]
    grey: Sequence[Any]

    @classmethod
    def of(cls, name: str, originals: Sequence[Pixels], distorted: Sequence[Pixels]) -> Batch:
        """A batch of arrays."""
        grey = [np.ascontiguousarray(image[:, :, 1:2]) for image in distorted]
        return cls(name, originals, distorted, grey)

    @property
    def pixels(self) -> int:
        """Pixels of one picture of each pair, together."""
        return sum(image.shape[0] * image.shape[1] for image in self.grey)

    def first(self, count: int) -> Batch:
        """The batch of its first pairs."""
        parts = (self.originals[:count], self.distorted[:count], self.grey[:count])
        return Batch(f"{count} of {self.name}", *parts)

    def backwards(self) -> Batch:
        """The same pairs in the opposite order."""
        parts = (self.originals[::-1], self.distorted[::-1], self.grey[::-1])
        return Batch(f"{self.name} backwards", *parts)

    def moved(self, device: str) -> Batch:
        """The same pairs as tensors on a device."""
        parts = (
            [torch.tensor(image, device=device) for image in images]
            for images in (self.originals, self.distorted, self.grey)
        )
        return Batch(self.name, *parts)


@dataclass(frozen=True)
class Task:
    """What is computed of a batch.

    Attributes:
        scores: of a batch on a device.
        bytes_per_pixel: that it reads.
        tolerance: the most by which GPU and CPU may differ.
    """

    scores: Callable[[Batch, str], Scores]
    bytes_per_pixel: int
    tolerance: float


def _task(metric: Metric, *, grey: bool = False) -> Task:
    """A metric of RGB pictures or pairs, or of their green alone."""

    def images(batch: Batch) -> tuple[Sequence[Any], ...]:
        if len(metric.inputs) == 2:
            return batch.originals, batch.distorted
        return (batch.grey if grey else batch.distorted,)

    return Task(
        lambda batch, device: metric.score(*images(batch), device=device).values,
        len(metric.inputs) * (1 if grey else 3),
        metric.tolerance,
    )


def _tasks() -> dict[str, Task]:
    """Each metric; one that looks at luma alone is given one plane, and beside that RGB."""
    tasks = {}
    for metric in METRICS:
        tasks[metric.name] = _task(metric, grey=metric.luma_only)
        if metric.luma_only:
            tasks[f"{metric.name} RGB"] = _task(metric)
    return tasks


TASKS = _tasks()


def batches(count: int = BATCH, width: int = WIDTH, height: int = HEIGHT) -> tuple[Batch, Batch]:
    """The same number of pictures of one size, and of sides anywhere between half and all of it.

    No side is below 161, unless that of `width` or `height` is.
    """
    random = np.random.default_rng(SEED)
    pairs = [
        (read_pixels(pair.original), read_pixels(pair.distorted))
        for pair in picture_set(width=width, height=height)
    ]
    uniform = [pairs[index % len(pairs)] for index in range(count)]
    mixed = []
    for original, copy in uniform:
        rows, columns = (
            random.integers(min(side, max(side // 2, MINIMUM_SIDE)), side, endpoint=True)
            for side in (height, width)
        )
        mixed.append((original[:rows, :columns].copy(), copy[:rows, :columns].copy()))
    return (
        Batch.of(f"{width}x{height}", *map(list, zip(*uniform, strict=True))),
        Batch.of("mixed sizes", *map(list, zip(*mixed, strict=True))),
    )


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
    return Batch.of("extremes", [*originals, *originals], [*originals, *copies])


def disagreement(one: Scores, other: Scores) -> float:
    """Largest difference of two devices' scores; infinite if only one of them has a score."""
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return float("inf")
    return float(np.nanmax(np.abs(one - other), initial=0.0))


def check(task: Task, batch: Batch, device: str) -> float:
    """Largest difference between the device and the CPU over a batch.

    Raises:
        ArithmeticError: it is more than the task allows, or the same pictures in another order,
            already on the device, do not get the same bits.
    """
    scores = task.scores(batch, device)
    difference = disagreement(scores, task.scores(batch, "cpu"))
    if difference > task.tolerance:
        raise ArithmeticError(
            f"{batch.name}: {difference:.2g} away from the CPU, more than {task.tolerance:g}"
        )
    again = task.scores(batch.backwards().moved(device), device)[::-1]
    if not np.array_equal(scores, again, equal_nan=True):
        raise ArithmeticError(f"{batch.name}: other bits in another order")
    return difference
