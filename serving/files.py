"""Decodes the files that a request gives in the place of pixels."""

from __future__ import annotations

import os

import numpy as np

from decoding import MAX_PIXELS, Colour, DecodingError, Picture, Pixels, open_picture, versions
from decoding.jpeg import is_jpeg
from decoding.limits import MAX_BYTES
from decoding.pictures import WHITE, write
from iqa.images import on_host
from iqa.metric import Metric
from serving.inputs import Inputs, images

SUFFIX = "_FILE"  # of an input's twin that takes a file
SMALL_PIXELS = 1_500_000  # of all files of a request that are decoded within milliseconds

Versions = list[list[Pixels]]
"""An image for each of a metric's inputs, over each background; see `decoding.versions`."""

# As the gateway has them in the same environment.
MOST_BYTES = int(os.environ.get("IQA_MAX_UPLOAD_BYTES", MAX_BYTES))
MOST_PIXELS = int(os.environ.get("IQA_MAX_PIXELS", MAX_PIXELS))
COLOUR: Colour = "stored" if os.environ.get("IQA_COLOUR") == "stored" else "srgb"
JPEG_LUMA = os.environ.get("IQA_LUMA") == "jpeg"


class _Decoded:
    """Pixels that came beside a file; see `Picture`."""

    is_fast, has_alpha = True, False

    def __init__(self, pixels: Pixels) -> None:
        self.height, self.width, self.channels = pixels.shape
        self._pixels = pixels

    def decode(self, out: Pixels, background: int = WHITE) -> bool:  # noqa: ARG002 its protocol
        """Write the pixels; see `Picture`."""
        write(self._pixels, out)
        return False


def has_files(inputs: Inputs, metric: Metric) -> bool:
    """Whether there is a file for some input of the metric.

    Raises:
        DecodingError: `invalid_request`, an input is missing or is there twice.
    """
    for name in metric.inputs:
        if (name in inputs) == (name + SUFFIX in inputs):
            raise DecodingError(
                "invalid_request", f"Send either {name} (pixels) or {name}{SUFFIX} (a file)."
            )
    return any(name not in inputs for name in metric.inputs)


class Files:
    """The pictures of a request of which at least one is a file."""

    def __init__(self, inputs: Inputs, metric: Metric) -> None:
        """Copy what Triton takes back once the request is answered."""
        self._metric = metric
        self._inputs = [_content(inputs, name) for name in metric.inputs]

    def are_small(self) -> bool:
        """Whether they are JPEGs that are decoded within milliseconds.

        Raises:
            DecodingError: one is refused by its header.
        """
        for files in self._inputs:
            if any(isinstance(file, memoryview) and not is_jpeg(file) for file in files):
                return False
        pictures = [picture for item in self._items() for picture in item]
        pixels = sum(picture.height * picture.width for picture in pictures)
        return pixels <= SMALL_PIXELS and all(picture.is_fast for picture in pictures)

    def decoded(self) -> list[Versions]:
        """The images of each item.

        Raises:
            DecodingError: a file is refused.
        """
        channels = 1 if self._metric.luma_only else None
        return [versions(item, channels=channels) for item in self._items()]

    def _items(self) -> list[list[Picture]]:
        return [list(map(self._open, item)) for item in zip(*self._inputs, strict=True)]

    def _open(self, content: memoryview | Pixels) -> Picture:
        if not isinstance(content, memoryview):
            return _Decoded(content)
        if len(content) > MOST_BYTES:
            raise DecodingError("upload_too_large", f"Send a file of at most {MOST_BYTES} bytes.")
        return open_picture(
            content,
            max_pixels=MOST_PIXELS,
            luma_only=self._metric.luma_only and JPEG_LUMA,
            colour=COLOUR,
        )


def _content(inputs: Inputs, name: str) -> list[memoryview | Pixels]:
    """The files, or the pixels `[H, W, C]`, of each item of an input."""
    if name in inputs:
        return [np.array(on_host(image)) for image in images(inputs[name])]
    return [memoryview(on_host(file).tobytes()) for file in images(inputs[name + SUFFIX])]
