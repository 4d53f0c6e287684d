"""A Triton Python-backend model around a metric: unpack, one call for the batch, pack."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import BoundedSemaphore, Lock
from typing import Any, ClassVar, NamedTuple

import triton_python_backend_utils as pb_utils

from decoding import DecodingError
from iqa.metric import Metric, Scores
from iqa.parallel import available_cores, parallel_map
from iqa.simd.levels import level
from iqa.warm_up import warm_up
from serving.device import assigned
from serving.files import Files, Versions, has_files
from serving.inputs import Inputs, images, inputs_of
from serving.split import Answer, split
from serving.worst import worst

SCORE, MAP = "SCORE", "MAP"

LARGE_WAITING = 64  # requests with large files that wait for their turn, of an instance

_rename_capsule = ctypes.pythonapi.PyCapsule_SetName
_rename_capsule.argtypes = (ctypes.py_object, ctypes.c_char_p)
_CONSUMED = ctypes.c_char_p(b"used_dltensor")  # lives on: a capsule borrows its name


class Work(NamedTuple):
    """A request whose pixels are there: the versions of each of its items."""

    request: Any
    items: list[Versions]


class ScoringModel:
    """Base of each `model.py`.

    Attributes:
        metric: what the model computes; its catalogue entry names inputs and outputs.
        device: "cpu" or "cuda:<n>", as Triton assigned it to this instance.
        threads: CPU threads that a batch may use; by default the instances share the cores.
        threads_alone: the same for a request that came alone, and so found cores that are idle.
        memory_limit: bytes of GPU memory that one batch may use; None for the metric's own bound.
    """

    metric: ClassVar[Metric]

    def initialize(self, args: dict[str, str]) -> None:
        """Take the device that Triton gives; refuse one that is not there."""
        config = json.loads(args["model_config"])
        parameters = config["parameters"]
        instances = sum(group["count"] for group in config["instance_group"])
        cores, threads = available_cores(), _number(parameters, "threads")
        self.threads = threads or max(1, cores // instances)
        self.threads_alone = threads or cores
        self.memory_limit = _number(parameters, "gpu_memory_bytes")
        try:
            self.device = assigned(args["model_instance_kind"], args["model_instance_device_id"])
        except ValueError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        if self.device == "cpu":
            warm_up([self.metric])  # Triton's own warm-up has no tall picture and no tie
        # A GPU's memory limit holds for one call at a time; on CPUs calls share nothing.
        self._device_lock = nullcontext() if self.device == "cpu" else Lock()
        self._alone = ThreadPoolExecutor(self.threads, thread_name_prefix="large-files")
        self._places = BoundedSemaphore(LARGE_WAITING)
        pb_utils.Logger.log_info(
            f"{args['model_name']} scores on {self.device}, CPU kernels of level {level()}"
        )

    def finalize(self) -> None:
        """Answer the files that are still in work."""
        self._alone.shutdown()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer a batch of requests, each of one or several stacked images, or of files.

        Those with pixels are answered first; those with files in an order of their own, so that
        nobody waits for a file that takes long to decode.
        """
        answers: dict[int, Any] = {}
        works: dict[int, Work] = {}
        files: list[tuple[Any, Inputs]] = []
        for place, request in enumerate(requests):
            inputs = inputs_of(request)
            try:
                if has_files(inputs, self.metric):
                    files.append((request, inputs))
                else:
                    works[place] = Work(request, self._stack(inputs))
            except DecodingError as error:
                answers[place] = _failure(error)
        threads = self.threads if len(requests) > 1 else self.threads_alone
        answers.update(zip(works, self._answers(list(works.values()), threads), strict=True))
        if not files:
            return [answers[place] for place in range(len(requests))]
        for place, answer in answers.items():
            _send(requests[place], answer)
        self._answer_files(files, threads)
        return [None] * len(requests)

    def score(self, *images: list[Any], **options: Any) -> Scores:
        """Score a ragged batch: one list of uint8 `[H, W, C]` arrays for each input."""
        return self.metric.score(*images, **options)

    def _stack(self, inputs: Inputs) -> list[Versions]:
        stacks = [images(inputs[name]) for name in self.metric.inputs]
        return [[list(item)] for item in zip(*stacks, strict=True)]

    def _answer_files(self, requests: list[tuple[Any, Inputs]], threads: int) -> None:
        """Small files are decoded and scored together; others alone, each when it is its turn."""
        small: list[tuple[Any, Files]] = []
        large: list[tuple[Any, Files]] = []
        for request, inputs in requests:
            files = Files(inputs, self.metric)
            try:
                (small if files.are_small() else large).append((request, files))
            except DecodingError as error:
                _send(request, _failure(error))
        outcomes = parallel_map(_outcome, [files for _, files in small], threads)
        works = []
        for (request, _), outcome in zip(small, outcomes, strict=True):
            if isinstance(outcome, DecodingError):
                _send(request, _failure(outcome))
            else:
                works.append(Work(request, outcome))
        for work, answer in zip(works, self._answers(works, threads), strict=True):
            _send(work.request, answer)
        for request, files in large:
            self._places.acquire()  # while there is none, Triton's queue fills and refuses
            self._alone.submit(self._answer_alone, request, files)

    def _answer_alone(self, request: Any, files: Files) -> None:
        answer = _failure("The files could not be scored.", "INTERNAL")
        try:
            if request.is_cancelled():
                answer = _failure("The client has left.", "CANCELLED")
            else:
                outcome = _outcome(files)
                if isinstance(outcome, DecodingError):
                    answer = _failure(outcome)
                else:
                    (answer,) = self._answers([Work(request, outcome)], self.threads)
        finally:
            _send(request, answer)
            self._places.release()

    def _answers(self, works: Sequence[Work], threads: int) -> list[Any]:
        """The responses to requests whose pixels are there.

        One call scores them all, but for those that want maps: nobody else waits for more of them.
        """
        mapped = [_wants_map(work.request) for work in works]
        answers = {
            maps: self._scored(
                [w for w, m in zip(works, mapped, strict=True) if m is maps], threads, maps
            )
            for maps in set(mapped)
        }
        return [next(answers[maps]) for maps in mapped]

    def _scored(self, works: Sequence[Work], threads: int, maps: bool) -> Iterator[Any]:
        details = self.metric.details
        wanted = [
            details is not None and details.output in work.request.requested_output_names()
            for work in works
        ]
        items = [item for work in works for item in work.items]
        versions = [version for item in items for version in item]
        with self._device_lock:
            scores = self.score(
                *(list(column) for column in zip(*versions, strict=True)),
                details=any(wanted),
                maps=maps,
                device=self.device,
                threads=threads,
                memory_limit=self.memory_limit,
            )
        answers = split(
            worst(self.metric, scores, list(map(len, items))), [len(work.items) for work in works]
        )
        return (self._response(*pair) for pair in zip(answers, wanted, strict=True))

    def _response(self, answer: Answer, with_details: bool) -> Any:
        if answer.error is not None:
            return _failure(answer.error)
        outputs = [_tensor(SCORE, answer.scores)]
        if with_details and self.metric.details:
            outputs.append(_tensor(self.metric.details.output, answer.details))
        if answer.maps is not None:
            outputs.append(_tensor(MAP, answer.maps))
        return pb_utils.InferenceResponse(outputs)


def _outcome(files: Files) -> list[Versions] | DecodingError:
    """The pixels of a request's files, or why there are none."""
    try:
        return files.decoded()
    except DecodingError as error:
        return error


def _send(request: Any, answer: Any) -> None:
    """Answer one request of a batch, whatever becomes of the others."""
    final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
    request.get_response_sender().send(answer, flags=final)


def _failure(error: object, kind: str = "INVALID_ARG") -> Any:
    code = getattr(pb_utils.TritonError, kind)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))


def _tensor(name: str, array: Any) -> Any:
    """An output tensor on the array's own memory.

    The backend marks a capsule that it consumed "used_dlpack", which is not DLPack's own mark, and
    NumPy prints a traceback for each capsule whose mark it does not know.
    """
    capsule = array.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    _rename_capsule(capsule, _CONSUMED)
    return tensor


def _number(parameters: dict[str, dict[str, str]], name: str) -> int | None:
    """The whole number in a parameter of the model's configuration; None if it is not there."""
    value = parameters.get(name)
    return int(value["string_value"]) if value else None


def _wants_map(request: Any) -> bool:
    """Whether the request names the output and has the parameter `map`.

    Triton asks for every output in the name of a client that names none; that must not cost a map.
    """
    return (
        MAP in request.requested_output_names()
        and json.loads(request.parameters() or "{}").get("map") is True
    )
