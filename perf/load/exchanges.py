"""Requests of mixed sizes and formats, errors included, each with the only right answer to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import httpx
import numpy as np
from PIL import Image

from gateway.http.problems import STATUS
from iqa.catalogue import metric
from perf.load.calls import PREFIX, score
from perf.load.pictures import Pair, Pixels, picture_set, read_pixels

SIZES = ((97, 131), (320, 240), (401, 303), (768, 512))  # width and height, in pixels
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
OF_EACH_SIZE = 4  # pairs
TOLERANCE = 5e-5  # half of the least distance between two of the scores
# What the service may say instead of an answer when it is busy or hurt.
CLEAR = frozenset({"overloaded", "backend_unavailable", "deadline_exceeded", "out_of_memory"})

Upload = tuple[str, tuple[str, bytes]]
"""Field, and the file's name and bytes."""


class WrongAnswerError(Exception):
    """An answer that is neither the right one nor a clear refusal."""


class RefusedError(Exception):
    """The service said clearly that it cannot answer now; the message is the problem's code."""


@dataclass(frozen=True)
class Exchange:
    """One request and its answer.

    Attributes:
        path: of the route.
        content_type, body: of the request.
        expected: the score of each image or pair; or the code of the problem.
    """

    path: str
    content_type: str
    body: bytes
    expected: tuple[float, ...] | str

    def check(self, status: int, content_type: str, body: bytes) -> None:
        """Compare with what the service said.

        Raises:
            RefusedError: it says clearly that it cannot answer now.
            WrongAnswerError: anything else but the right answer.
        """
        try:
            if status == 200 and isinstance(self.expected, tuple):
                self._check_scores(json.loads(body))
            else:
                self._check_problem(status, content_type, json.loads(body))
        except (ValueError, KeyError, TypeError) as error:
            answer = f"{status} {body[:300]!r}"
            raise WrongAnswerError(f"{self.path}: {answer}, not {self.expected}") from error

    def _check_scores(self, answer: dict[str, object]) -> None:
        assert isinstance(self.expected, tuple)
        results = answer.get("results", [answer])
        assert isinstance(results, list)
        for result, expected in zip(results, self.expected, strict=True):
            code = result.get("error", "").partition(":")[0]
            if code in CLEAR:
                raise RefusedError(code)
            if abs(result["score"] - expected) > TOLERANCE:
                raise ValueError("score")

    def _check_problem(self, status: int, content_type: str, problem: dict[str, object]) -> None:
        code = str(problem["code"])
        if content_type != "application/problem+json" or STATUS[code] != status:
            raise ValueError("not a problem document")
        if code != self.expected:
            if code in CLEAR:
                raise RefusedError(code)
            raise ValueError("code")


def mixed() -> list[Exchange]:
    """Singles of both metrics in every size and format, a batch, and some of the errors.

    No two scores are alike, so that an answer that belongs to another request is noticed.
    """
    pairs = [pair for size in SIZES for pair in _pairs(*size)]
    return [*singles(pairs), *_batches(pairs), *_errors(pairs)]


def singles(pairs: Sequence[Pair]) -> Iterator[Exchange]:
    """Each pair scored by both metrics, in one format after the other."""
    for index, pair in enumerate(pairs):
        file = _converted(pair.distorted, FORMATS[index % len(FORMATS)])
        expected = (score("brisque", read_pixels(file)),)
        yield _exchange("brisque", "", [("image", ("a", file))], expected)
        if min(read_pixels(file).shape[:2]) >= metric("ms_ssim").minimum_side:
            files = (pair.original, file)
            fields = [
                (name, ("a", content)) for name, content in zip(_fields(), files, strict=True)
            ]
            expected = (score("ms_ssim", *map(read_pixels, files)),)
            yield _exchange("ms_ssim", "", fields, expected)


def _pairs(width: int, height: int) -> list[Pair]:
    return picture_set(width=width, height=height)[::3][:OF_EACH_SIZE]


def _batches(pairs: Sequence[Pair]) -> Iterator[Exchange]:
    files = [pair.original for pair in pairs]
    scores = tuple(score("brisque", read_pixels(file)) for file in files)
    yield _exchange("brisque", "batch/", [("images", ("a", file)) for file in files], scores)


def _errors(pairs: Sequence[Pair]) -> Iterator[Exchange]:
    one = partial(_exchange, "brisque", "")
    file = pairs[-1].original
    flat = _encoded(np.full((64, 64, 3), 128, np.uint8), "PNG")
    tiny = _encoded(np.zeros((8, 8, 3), np.uint8), "PNG")
    yield one([("image", ("a", b"plain text"))], "unsupported_format")
    yield one([("image", ("a", file[: len(file) // 2]))], "invalid_image")
    yield one([("image", ("a", flat))], "score_undefined")
    yield one([("image", ("a", tiny))], "image_too_small")
    yield one([("picture", ("a", file))], "invalid_request")
    both = [pairs[-1].original, pairs[-1 - OF_EACH_SIZE].original]
    fields = [(name, ("a", content)) for name, content in zip(_fields(), both, strict=True)]
    yield _exchange("ms_ssim", "", fields, "size_mismatch")


def _fields() -> Sequence[str]:
    return metric("ms_ssim").fields


def _exchange(
    model: str, route: str, files: Sequence[Upload], expected: tuple[float, ...] | str
) -> Exchange:
    path = f"{PREFIX}{metric(model).path}/{route}"
    request = httpx.Request("POST", "http://service", files=list(files))
    return Exchange(path, request.headers["content-type"], request.read(), expected)


def _converted(file: bytes, kind: str) -> bytes:
    return file if kind == "JPEG" else _encoded(read_pixels(file), kind)


def _encoded(pixels: Pixels, kind: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()
