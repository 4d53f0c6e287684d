"""An image or pair on its way from its upload to its scores."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from opentelemetry.trace import Span, get_current_span

from decoding import Picture, Pixels
from gateway.admission import Room
from gateway.deadline import Deadline
from gateway.http.problems import Problem
from gateway.source import Source
from gateway.stack import Kind, Model
from gateway.triton.messages import Outputs
from iqa.metric import Metric

SCORE = "SCORE"

# What an item counts in admission: pixels of a JPEG take 1, those of other formats as much longer
# to decode, and an image of any size costs its request as much as this many.
SLOW_FORMAT = 4
LEAST_PIXELS = 125_000

Answer = dict[str, Outputs]
"""The outputs of each model by its name, without the batch dimension."""


@dataclass
class Caller:
    """Who waits for scores.

    Attributes:
        deadline: when the caller stops waiting.
        room: what the request holds while its work goes on.
        request_id: for Triton's log.
        span: of the request.
    """

    deadline: Deadline
    room: Room
    request_id: str
    span: Span = field(default_factory=get_current_span)


class Item:
    """An image or pair, and what is wanted of it.

    Attributes:
        caller: who waits for its scores.
        metrics: to compute, of the same pictures.
        sources: the uploaded file for each of a metric's inputs.
        outputs: what of each model's outputs is wanted.
        luma_only: nothing else needs to be decoded.
        pictures: what the files hold; none until it was opened.
        kind: what can share a stack with it; known once it was opened.
        background_shows: of a pair with transparency, known once it was decoded.
    """

    kind: Kind

    def __init__(
        self,
        caller: Caller,
        metrics: Sequence[Metric],
        sources: Sequence[Source],
        outputs: Sequence[str] = (SCORE,),
    ) -> None:
        self.caller = caller
        self.metrics = metrics
        self.sources = sources
        self.outputs = tuple(outputs)
        self.luma_only = all(metric.luma_only for metric in metrics)
        self.pictures: Sequence[Picture] = ()
        self.background_shows = False
        self._answer: weakref.ref[asyncio.Future[Answer]] | None = None

    @property
    def is_quick(self) -> bool:
        """Whether libjpeg-turbo decodes it."""
        return all(picture.is_fast and not picture.has_alpha for picture in self.pictures)

    @property
    def is_better_as_files(self) -> bool:
        """Whether a message had better have its files in it than its pixels.

        That holds for a pair, whose pixels are ten times as many bytes; but Triton decodes files
        for each request, so that what several metrics or items share goes as pixels.
        """
        once = len(self.metrics) == 1 and not any(source.is_shared for source in self.sources)
        files = sum(len(source.data) for source in self.sources)
        return once and len(self.sources) > 1 and files < self.kind.size(1)

    @property
    def work(self) -> int:
        """Pixels that it counts in admission."""
        return sum(
            max(
                LEAST_PIXELS,
                picture.height * picture.width * (1 if picture.is_fast else SLOW_FORMAT),
            )
            for picture in self.pictures
        )

    def open(self) -> None:
        """Take over what the headers of the files say, all of which were read.

        Raises:
            Problem: `image_too_small`, `size_mismatch`: a model would refuse the pixels.
        """
        pictures = [source.picture for source in self.sources if source.picture]
        sizes = [(picture.width, picture.height) for picture in pictures]
        smallest = min(map(min, sizes))
        for metric in self.metrics:
            if smallest < metric.minimum_side:
                raise Problem(
                    "image_too_small",
                    f"{metric.title} needs sides of at least {metric.minimum_side} pixels, "
                    f"not {smallest}. {metric.if_too_small}".rstrip(),
                )
        if len(set(sizes)) > 1:
            listed = " and ".join(f"{width}x{height}" for width, height in sizes)
            raise Problem("size_mismatch", f"Send images of the same size, not {listed}.")
        channels = 1 if self.luma_only else max(picture.channels for picture in pictures)
        models = [Model(metric.name, metric.inputs, self.outputs) for metric in self.metrics]
        self.kind = Kind(tuple(models), (pictures[0].height, pictures[0].width, channels))
        self.pictures = pictures

    def decode(self, pixels: Pixels, background: int) -> None:
        """Decode the pictures to `[pictures, H, W, C]`.

        Raises:
            DecodingError: a file is damaged.
            Problem: `deadline_exceeded`.
            ClientDisconnect: nobody waits for the scores.
        """
        self.caller.deadline.remaining()  # the wait may have been too long for the client
        shows = [
            picture.decode(out, background)
            for picture, out in zip(self.pictures, pixels, strict=True)
        ]
        self.background_shows = any(shows)
        self.caller.deadline.remaining()

    def wait(self) -> asyncio.Future[Answer]:
        """The scores to come.

        Only who waits keeps the future. It holds an error, the error its traceback, and that the
        frames that work on this item: the circle would be closed if the item held the future.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answer = weakref.ref(future)
        return future

    def succeed(self, answer: Answer) -> None:
        """Tell the scores to who waits."""
        if future := self._future():
            future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Raise an error where the scores are awaited."""
        if future := self._future():
            future.set_exception(error)

    def worse(self, first: Answer, second: Answer) -> Answer:
        """Of two answers, for each metric the one with the worse score."""
        answer = {}
        for metric in self.metrics:
            both = (first[metric.name], second[metric.name])
            ranks = [metric.rank(float(outputs[SCORE][0])) for outputs in both]
            answer[metric.name] = both[ranks.index(min(ranks))]
        return answer

    def _future(self) -> asyncio.Future[Answer] | None:
        future = self._answer() if self._answer else None
        return None if future is None or future.done() else future
