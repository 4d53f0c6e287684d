"""Requests of mixed sizes and formats, errors included, each with the only right answer to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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


class WrongAnswerError(Exception):
    """An answer that is neither the right one nor a clear refusal."""


class RefusedError(Exception):
    """A service said that it cannot answer now; an `Exchange` says why by the problem's code."""


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
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # any JSON
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
            if not abs(result["score"] - expected) <= TOLERANCE:  # nan is no score
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
    return [*singles(pairs), batch("brisque", [[pair.original] for pair in pairs]), *_errors(pairs)]


def single(model: str, *files: bytes) -> Exchange:
    """One image or pair."""
    uploads = zip(metric(model).fields, files, strict=True)
    return _exchange(model, "", uploads, (_score(model, files),))


def batch(model: str, items: Sequence[Sequence[bytes]]) -> Exchange:
    """Several of them in a request."""
    fields = metric(model).batch_fields
    uploads = [upload for files in items for upload in zip(fields, files, strict=True)]
    return _exchange(model, "batch/", uploads, tuple(_score(model, files) for files in items))


def singles(pairs: Sequence[Pair]) -> Iterator[Exchange]:
    """Each pair scored by both metrics, in one format after the other."""
    for index, pair in enumerate(pairs):
        file = _converted(pair.distorted, FORMATS[index % len(FORMATS)])
        yield single("brisque", file)
        if min(read_pixels(file).shape[:2]) >= metric("ms_ssim").minimum_side:
            yield single("ms_ssim", pair.original, file)


def _pairs(width: int, height: int) -> list[Pair]:
    return picture_set(width=width, height=height)[::3][:OF_EACH_SIZE]


def _score(model: str, files: Sequence[bytes]) -> float:
    return score(model, *map(read_pixels, files))


def _errors(pairs: Sequence[Pair]) -> Iterator[Exchange]:
    file, other = pairs[-1].original, pairs[-1 - OF_EACH_SIZE].original
    flat = _encoded(np.full((64, 64, 3), 128, np.uint8), "PNG")
    tiny = _encoded(np.zeros((8, 8, 3), np.uint8), "PNG")
    for field, content, code in (
        ("image", b"plain text", "unsupported_format"),
        ("image", file[: len(file) // 2], "invalid_image"),
        ("image", flat, "score_undefined"),
        ("image", tiny, "image_too_small"),
        ("picture", file, "invalid_request"),
    ):
        yield _exchange("brisque", "", [(field, content)], code)
    uploads = zip(metric("ms_ssim").fields, (file, other), strict=True)
    yield _exchange("ms_ssim", "", uploads, "size_mismatch")


def _exchange(
    model: str, route: str, uploads: Iterable[tuple[str, bytes]], expected: tuple[float, ...] | str
) -> Exchange:
    path = f"{PREFIX}{metric(model).path}/{route}"
    files = [(field, ("a", content)) for field, content in uploads]
    request = httpx.Request("POST", "http://service", files=files)
    return Exchange(path, request.headers["content-type"], request.read(), expected)


def _converted(file: bytes, kind: str) -> bytes:
    return file if kind == "JPEG" else _encoded(read_pixels(file), kind)


def _encoded(pixels: Pixels, kind: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()
