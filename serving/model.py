"""A Triton Python-backend model around a metric: unpack, one call for the batch, pack."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import triton_python_backend_utils as pb_utils

from iqa.metric import Metric, Scores
from iqa.parallel import available_cores
from serving.device import assigned
from serving.inputs import images
from serving.split import Answer, split

SCORE, MAP = "SCORE", "MAP"

_rename_capsule = ctypes.pythonapi.PyCapsule_SetName
_rename_capsule.argtypes = (ctypes.py_object, ctypes.c_char_p)
_CONSUMED = ctypes.c_char_p(b"used_dltensor")  # lives on: a capsule borrows its name


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
        pb_utils.Logger.log_info(f"{args['model_name']} scores on {self.device}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer a batch of requests, each of one or several stacked images.

        One call scores them all, but for those that want maps: nobody else waits for more of them.
        """
        mapped = [_wants_map(request) for request in requests]
        answers = {maps: self._answers(requests, mapped, maps) for maps in set(mapped)}
        return [next(answers[maps]) for maps in mapped]

    def score(self, *images: list[Any], **options: Any) -> Scores:
        """Score a ragged batch: one list of uint8 `[H, W, C]` arrays for each input."""
        return self.metric.score(*images, **options)

    def _answers(self, batch: list[Any], mapped: list[bool], maps: bool) -> Iterator[Any]:
        """The responses to those requests of a batch that want maps, or to the others."""
        requests = [request for request, wants in zip(batch, mapped, strict=True) if wants is maps]
        stacks = [[images(request, name) for name in self.metric.inputs] for request in requests]
        counts = [len(stack[0]) for stack in stacks]
        lists = [
            [image for stack in stacks for image in stack[position]]
            for position in range(len(self.metric.inputs))
        ]
        details = self.metric.details
        wanted = [
            details is not None and details.output in request.requested_output_names()
            for request in requests
        ]
        threads = self.threads if len(batch) > 1 else self.threads_alone
        scored = self.score(
            *lists,
            details=any(wanted),
            maps=maps,
            device=self.device,
            threads=threads,
            memory_limit=self.memory_limit,
        )
        answers = split(scored, counts)
        return (self._response(*pair) for pair in zip(answers, wanted, strict=True))

    def _response(self, answer: Answer, with_details: bool) -> Any:
        if answer.error is not None:
            error = pb_utils.TritonError(answer.error, pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=error)
        outputs = [_tensor(SCORE, answer.scores)]
        if with_details and self.metric.details:
            outputs.append(_tensor(self.metric.details.output, answer.details))
        if answer.maps is not None:
            outputs.append(_tensor(MAP, answer.maps))
        return pb_utils.InferenceResponse(outputs)


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
