"""The REST calls: one pair of routes for each metric of the catalogue, and what it offers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from decoding.errors import DecodingError
from gateway import documentation, maps
from gateway.admission import Admission, Deadline, Room
from gateway.http.problems import Problem
from gateway.http.uploads import HEADER_BYTES, Upload, UploadLimits, read_uploads
from gateway.observability.telemetry import PROBLEMS
from gateway.scoring import Scorer
from gateway.settings import Settings
from gateway.triton.client import TritonClient
from gateway.triton.messages import Outputs
from iqa.catalogue import METRICS
from iqa.metric import Metric

SCORE = "SCORE"
PREFIX = "/api/v1/iqa"
SHARED_PARAMETERS = ("version", "weights_source", "weights_sha256")


class MetricRoutes:
    """Handlers of one metric."""

    def __init__(
        self, metric: Metric, settings: Settings, admission: Admission, scorer: Scorer
    ) -> None:
        self._metric = metric
        self._settings = settings
        self._admission = admission
        self._scorer = scorer
        inputs = len(metric.fields)
        self._batch_limits = UploadLimits(
            file_bytes=settings.max_upload_bytes,
            body_bytes=settings.max_request_bytes,
            parts=settings.max_batch * inputs,
        )
        file_with_headers = settings.max_upload_bytes + 2 * HEADER_BYTES
        self._limits = replace(
            self._batch_limits,
            body_bytes=min(inputs * file_with_headers, settings.max_request_bytes),
        )

    async def single(self, request: Request) -> Response:
        """Answer `{"score": ...}` for one image or pair."""
        deadline = _deadline(request, self._settings)
        with self._admission.admit(
            images=1, declared_bytes=_declared(request, self._limits)
        ) as room:
            outputs = await self._one(request, deadline, room, (SCORE,))
        score = float(outputs[SCORE][0])  # finite: it would be an error otherwise
        return Response(b'{"score":%r}' % score, media_type="application/json")

    async def map(self, request: Request) -> Response:
        """Answer the map of one image or pair: where the score comes from."""
        deadline = _deadline(request, self._settings)
        kind = maps.media_type(request.headers.get("accept", ""))
        wanted = [SCORE, "MAP"]
        if self._metric.details and self._metric.map and self._metric.map.with_details:
            wanted.append(self._metric.details.output)
        with self._admission.admit(
            images=1, declared_bytes=_declared(request, self._limits)
        ) as room:
            outputs = await self._one(request, deadline, room, wanted)
            return await asyncio.to_thread(maps.answer, self._metric, outputs, kind)

    async def batch(self, request: Request) -> Response:
        """Answer `{"results": [...]}`, an entry for each image or pair in upload order."""
        deadline = _deadline(request, self._settings)
        with self._admission.admit(declared_bytes=_declared(request, self._batch_limits)) as room:
            uploads = await _read(request, self._batch_limits, deadline, room)
            groups = _by_field(uploads, self._metric.batch_fields)
            items = _items(list(groups.values()), self._settings.max_batch)
            with self._admission.admit(images=len(items)):
                results = [self._result(item, deadline, request) for item in items]
                return JSONResponse({"results": await asyncio.gather(*results)})

    async def _one(
        self, request: Request, deadline: Deadline, room: Room, outputs: Sequence[str]
    ) -> Outputs:
        uploads = await _read(request, self._limits, deadline, room)
        groups = _by_field(uploads, self._metric.fields)
        files = [_only(field, group).data for field, group in groups.items()]
        return await self._infer(files, deadline, request, outputs)

    async def _result(
        self, item: Sequence[Upload], deadline: Deadline, request: Request
    ) -> dict[str, str | float]:
        filename = item[-1].filename
        try:
            files = [upload.data for upload in item]
            outputs = await self._infer(files, deadline, request, (SCORE,))
        except Problem as problem:
            PROBLEMS.labels(problem.code).inc()
            return {"filename": filename, "error": str(problem)}
        return {"filename": filename, "score": float(outputs[SCORE][0])}

    async def _infer(
        self,
        files: Sequence[memoryview],
        deadline: Deadline,
        request: Request,
        outputs: Sequence[str],
    ) -> Outputs:
        request_id: str = request.state.request_id
        try:
            return await self._scorer.infer(self._metric, files, deadline, request_id, outputs)
        except DecodingError as error:
            raise Problem(error.code, error.message) from error


def build_router(
    settings: Settings, admission: Admission, scorer: Scorer, triton: TritonClient
) -> APIRouter:
    """All routes below `/api/v1/iqa`; each also answers without its last slash."""
    router = APIRouter(prefix=PREFIX)

    async def describe() -> JSONResponse:
        """What each metric means, and which implementation and weights compute it."""
        parameters = await asyncio.gather(
            *(triton.model_parameters(metric.name) for metric in METRICS)
        )
        return JSONResponse({"metrics": list(map(_description, METRICS, parameters))})

    _add(router, "GET", "", describe, documentation.describe_route())
    for metric in METRICS:
        handlers = MetricRoutes(metric, settings, admission, scorer)
        _add(router, "POST", metric.path, handlers.single, documentation.single_route(metric))
        batch = documentation.batch_route(metric, settings.max_batch)
        _add(router, "POST", f"{metric.path}/batch", handlers.batch, batch)
        if metric.map:
            map_route = documentation.map_route(metric, metric.map)
            _add(router, "POST", f"{metric.path}/map", handlers.map, map_route)
    return router


def _add(
    router: APIRouter, method: str, path: str, handler: Any, description: dict[str, Any]
) -> None:
    router.add_api_route(path + "/", handler, methods=[method], **description)
    router.add_api_route(path, handler, methods=[method], include_in_schema=False)


def _deadline(request: Request, settings: Settings) -> Deadline:
    asked = request.headers.get("x-request-timeout")
    if asked is None:
        return Deadline(settings.request_timeout, request.scope["state"])
    try:
        seconds = float(asked)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise Problem("invalid_request", "X-Request-Timeout is a positive number of seconds.")
    return Deadline(min(seconds, settings.max_request_timeout), request.scope["state"])


async def _read(
    request: Request, limits: UploadLimits, deadline: Deadline, room: Room
) -> list[Upload]:
    try:
        async with asyncio.timeout(deadline.remaining()):
            return await read_uploads(request, limits, room.hold)
    except TimeoutError:
        raise Deadline.exceeded() from None


def _declared(request: Request, limits: UploadLimits) -> int:
    """Bytes that the body says to have; what is too large is refused for that, not as overload."""
    declared = request.headers.get("content-length", "")
    return min(int(declared), limits.body_bytes) if declared.isdecimal() else 0


def _by_field(uploads: Sequence[Upload], fields: Sequence[str]) -> dict[str, list[Upload]]:
    """The uploads of each field, which must all be there and be the only ones."""
    groups: dict[str, list[Upload]] = {field: [] for field in fields}
    for upload in uploads:
        if upload.name not in groups:
            expected = " and ".join(fields)
            raise Problem("invalid_request", f"Send the form fields {expected}, and no other.")
        groups[upload.name].append(upload)
    for field, group in groups.items():
        if not group:
            raise Problem("invalid_request", f"Send an image in the form field {field}.")
    return groups


def _only(field: str, group: Sequence[Upload]) -> Upload:
    if len(group) > 1:
        raise Problem("invalid_request", f"Send one image in the form field {field}.")
    return group[0]


def _items(groups: Sequence[list[Upload]], most: int) -> list[tuple[Upload, ...]]:
    """What belongs together; a single upload in the first of several fields serves all."""
    length = len(groups[-1])
    if length > most:
        raise Problem("invalid_request", f"Send at most {most} images or pairs in one request.")
    if len(groups[0]) == 1:
        groups = [groups[0] * length, *groups[1:]]
    if any(len(group) != length for group in groups):
        raise Problem("invalid_request", "Send as many originals as distorted images, or one.")
    return list(zip(*groups, strict=True))


def _description(metric: Metric, parameters: dict[str, str]) -> dict[str, Any]:
    low, high = metric.usual_range
    return {
        "id": metric.name,
        "name": metric.title,
        "path": f"{PREFIX}{metric.path}/",
        "fields": list(metric.fields),
        "summary": metric.summary,
        "direction": metric.direction,
        "usual_range": {"low": low, "high": high, "clamped": False},
        "colour_space": metric.colour,
        "minimum_side": metric.minimum_side,
        "words": [
            {"words": words} | ({"below": limit} if math.isfinite(limit) else {})
            for limit, words in metric.words
        ],
        "digits": metric.digits,
        "details": metric.details and {"size": metric.details.size, "is": metric.details.summary},
        "map": metric.map
        and {
            "summary": metric.map.summary,
            "dark": {"value": metric.map.dark, "words": metric.map.words[0]},
            "bright": {"value": metric.map.bright, "words": metric.map.words[1]},
        },
        "implementation": {
            name: parameters[name] for name in SHARED_PARAMETERS if name in parameters
        },
    }
