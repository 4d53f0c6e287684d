"""The contract of a metric: what everybody needs to know about it, and the call that scores.

Routes, API documentation, page, warm-up, Triton configurations, readiness, benchmarks and the
parametrised tests are made from the `Metric` in each `iqa/<name>/catalogue.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.images import Image, check_batch, check_image, on_host

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
MapValues = NDArray[np.float32]
Item = tuple["Image | torch.Tensor", ...]
"""What one score is of: an image for each of the metric's inputs."""


@dataclass(slots=True)
class Scores:
    """What a metric made of a batch of N items.

    Attributes:
        values: float64 `[N]`, nan where an item failed; never clamped.
        errors: per item, None where it has a score.
        details: float64 `[N, D]`, what the score is made of; None unless asked for.
        maps: per item float32 `[h, w]`, where the score comes from; None where the item failed;
            None unless asked for.
    """

    values: Array
    errors: list[ItemError | None]
    details: Array | None = None
    maps: list[MapValues | None] | None = None

    @property
    def features(self) -> Array | None:
        """What BRISQUE's details are called: `[N, 36]`."""
        return self.details

    @property
    def scales(self) -> Array | None:
        """What MS-SSIM's details are called: `[N, 5]`."""
        return self.details


@dataclass(frozen=True)
class Details:
    """The numbers that a score is made of.

    Attributes:
        output: name of the Triton output.
        size: how many there are.
        summary: what they are.
    """

    output: str
    size: int
    summary: str


@dataclass(frozen=True)
class Map:
    """Where a score comes from.

    Attributes:
        make: from the images `[H, W, C]` of an item to the map, float32 `[h, w]`, on the CPU.
        summary: what its values are.
        dark, bright: the values shown in the darkest and in the brightest colour.
        words: what these two mean.
        with_details: the details say something beside the map.
    """

    make: Callable[..., MapValues]
    summary: str
    dark: float
    bright: float
    words: tuple[str, str]
    with_details: bool = False


@dataclass(frozen=True)
class Baseline:
    """The function of piq that the metric is compared with.

    Attributes:
        function: its name in piq.
        options: keyword arguments besides `data_range`.
    """

    function: str
    options: Mapping[str, object] = field(default_factory=dict)


class CpuKernel(Protocol):
    """`rows` of `iqa.<name>.cpu`."""

    def __call__(self, items: Sequence[tuple[Image, ...]], threads: int | None) -> Array:
        """Score and details `[N, 1 + D]` of sound items; nan where the metric is undefined.

        An item has the same bits in any batch and on any number of threads.
        """


@dataclass(frozen=True)
class Metric:
    """One image-quality metric.

    Attributes:
        name: of its package in `iqa`, of its Triton model, and in `metrics=` of a request.
        title: its usual name.
        path: its route below `/api/v1/iqa`.
        fields: upload field of each image of an item.
        inputs: Triton input tensor of each image of an item.
        minimum_side: smallest side in pixels.
        direction: which scores are better.
        usual_range: where scores usually lie; they are never clamped to it.
        words: what a score means: `(limit, words)` by ascending limit, the words hold for scores
            below it; the last limit is infinite.
        digits: after the decimal point that mean something to a reader.
        colour: what becomes of colour.
        summary: a sentence for the documentation.
        example: a score for the documentation.
        tolerance: most by which two right implementations differ.
        baseline: see `Baseline`.
        cpu: see `CpuKernel`; on a GPU it is `rows(items, device, memory_limit)` of
            `iqa.<name>.gpu`, which also returns each item's error.
        luma_only: only luma is looked at, so that nothing else needs to be sent.
        details: see `Details`; None where the score is all there is.
        map: see `Map`; None where there is none.
        if_too_small: a sentence of advice for pictures below the smallest side.
        undefined: says why an item on which the metric is undefined has no score; None where it
            is defined on every one.
        provenance: where its parameters come from, for `GET /api/v1/iqa/`.
    """

    name: str
    title: str
    path: str
    fields: tuple[str, ...]
    inputs: tuple[str, ...]
    minimum_side: int
    direction: Literal["lower is better", "higher is better"]
    usual_range: tuple[float, float]
    words: tuple[tuple[float, str], ...]
    digits: int
    colour: str
    summary: str
    example: float
    tolerance: float
    baseline: Baseline
    cpu: CpuKernel
    luma_only: bool = False
    details: Details | None = None
    map: Map | None = None
    if_too_small: str = ""
    undefined: Callable[..., str] | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def batch_fields(self) -> tuple[str, ...]:
        """Upload fields of the batch route: the same names in the plural."""
        return tuple(f"{field}s" for field in self.fields)

    def rank(self, score: float) -> float:
        """What grows as scores get better."""
        return score if self.direction == "higher is better" else -score

    def score(
        self,
        *images: Sequence[Image | torch.Tensor],
        details: bool = False,
        maps: bool = False,
        device: str = "cpu",
        threads: int | None = None,
        memory_limit: int | None = None,
    ) -> Scores:
        """Score a batch of uint8 images `[H, W, C]` (C 1 or 3, RGB) of any mixed sizes.

        An item that cannot be scored gets an error and the value nan; its neighbours do not notice.

        Args:
            images: for each of the metric's inputs a list of N images; on a CUDA device also
                tensors, of which those that lie on it are not copied.
            details: also return what the scores are made of.
            maps: also return where they come from; made on the CPU whatever the device.
            device: "cpu", or a CUDA device such as "cuda:0".
            threads: CPU threads that the batch may use; None for all cores of this process.
            memory_limit: bytes that the batch may take on the CUDA device; a larger one is
                computed in parts. None for the default of `iqa.gpu.device`.

        Raises:
            TypeError: an image is neither an array nor a tensor, or threads are no whole number.
            ValueError: an array instead of a list, lists of different lengths, fewer threads than
                one, no such device.
        """
        check_batch(images, self.inputs, threads)
        items: list[Item] = list(zip(*images, strict=True))
        errors = [self._error(item) for item in items]
        sound = [index for index, error in enumerate(errors) if error is None]
        batch = [items[index] for index in sound]
        rows, failures = self._rows(batch, device, threads, memory_limit)
        if len(batch) < len(items):  # NumPy takes long to scatter them
            every = np.full((len(items), rows.shape[1]), np.nan)
            every[sound], rows = rows, every
        for index, failure in zip(sound, failures, strict=True):
            errors[index] = failure
        for index in sound:
            if errors[index] is None and math.isnan(rows[index, 0]):
                explain = self.undefined or (lambda *_: "The metric is undefined here.")
                sentence = explain(*map(on_host, items[index]))
                errors[index] = ItemError("score_undefined", sentence)
        return Scores(
            rows[:, 0].copy(),
            errors,
            rows[:, 1:] if details and self.details else None,
            [self._map(item, error) for item, error in zip(items, errors, strict=True)]
            if maps
            else None,
        )

    def _rows(
        self, items: Sequence[Item], device: str, threads: int | None, memory_limit: int | None
    ) -> tuple[Array, Sequence[ItemError | None]]:
        """Score and details `[N, 1 + D]` of sound items, and what failed of them."""
        if not items:
            return np.empty((0, 1 + (self.details.size if self.details else 0))), []
        if device == "cpu":
            nothing = [None] * len(items)
            return self.cpu([tuple(map(on_host, item)) for item in items], threads), nothing
        gpu = import_module(f"iqa.{self.name}.gpu")  # needs torch, which not everybody has
        rows, failures = gpu.rows(items, device, memory_limit)
        return rows, failures

    def _error(self, item: Item) -> ItemError | None:
        for image in item:
            if error := check_image(image, self.minimum_side):
                if error.code == "image_too_small" and self.if_too_small:
                    return replace(error, message=f"{error.message} {self.if_too_small}")
                return error
        first, *others = (image.shape for image in item)
        if any(shape != first for shape in others):
            listed = " and ".join(str(list(image.shape)) for image in item)
            return ItemError("size_mismatch", f"images must have the same shape, not {listed}.")
        return None

    def _map(self, item: Item, error: ItemError | None) -> MapValues | None:
        return self.map.make(*map(on_host, item)) if self.map and error is None else None
