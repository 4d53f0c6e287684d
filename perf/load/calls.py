"""The calls that load consists of: files for a metric's route, and the right score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iqa.catalogue import metric
from iqa.metric import Metric
from perf.load.pictures import Pair, Pixels, read_pixels

PREFIX = "/api/v1/iqa"
BOUNDARY = b"iqa-perf-2006"  # must not occur in a file
TOLERANCE = 1e-3  # between two computations of one score by the same library

Score = Callable[..., float]
"""Scores RGB pictures `[H, W, 3]`: the model's name, then one picture for each of its inputs."""


@dataclass(frozen=True)
class Call:
    """One call of a metric's route.

    Attributes:
        metric: whose route.
        files: one for each of the metric's fields.
        expected: the right score.
    """

    metric: Metric
    files: tuple[bytes, ...]
    expected: float

    @property
    def path(self) -> str:
        """Of the route."""
        return f"{PREFIX}{self.metric.path}/"

    def http(self) -> bytes:
        """The whole HTTP/1.1 request."""
        body = b"".join(
            b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b.jpg"\r\n'
            b"Content-Type: image/jpeg\r\n\r\n%b\r\n" % (BOUNDARY, name, name, file)
            for name, file in zip(map(str.encode, self.metric.fields), self.files, strict=True)
        )
        body += b"--%b--\r\n" % BOUNDARY
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def score(model: str, *images: Pixels) -> float:
    """The score of RGB pictures `[H, W, 3]` by this project's own kernels, called directly."""
    return float(metric(model).score(*([image] for image in images)).values[0])


def calls(metric: Metric, pairs: Sequence[Pair], score: Score = score) -> list[Call]:
    """A call for each picture or pair, with the score that `score` gives it.

    A metric of one picture is asked for every original, once, and every distorted copy.
    """
    contents: list[tuple[bytes, ...]]
    if len(metric.fields) == 1:
        originals = dict.fromkeys(pair.original for pair in pairs)
        contents = [(file,) for file in (*originals, *(pair.distorted for pair in pairs))]
    else:
        contents = [(pair.original, pair.distorted) for pair in pairs]
    return [Call(metric, files, score(metric.name, *map(read_pixels, files))) for files in contents]
