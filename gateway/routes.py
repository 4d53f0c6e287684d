"""The REST calls: routes for each metric of the catalogue, and what they offer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway import documentation, maps
from gateway.admission import Admission, Room
from gateway.deadline import Deadline
from gateway.describe import describe
from gateway.http import forms
from gateway.http.problems import Problem
from gateway.http.uploads import HEADER_BYTES, HEADERS, Upload, UploadLimits, read_uploads
from gateway.observability.metrics import PROBLEMS
from gateway.pipeline import SCORE, Caller, Pipeline
from gateway.settings import Settings
from gateway.triton.client import TritonClient
from gateway.triton.messages import Outputs
from iqa.metric import Metric

PREFIX = "/api/v1/iqa"


class MetricRoutes:
    """Handlers of one metric."""

    def __init__(
        self, metric: Metric, settings: Settings, admission: Admission, pipeline: Pipeline
    ) -> None:
        self._metric = metric
        self._settings = settings
        self._admission = admission
        self._pipeline = pipeline
        inputs = len(metric.fields)
        self._batch_limits = UploadLimits(
            file_bytes=settings.max_upload_bytes,
            body_bytes=settings.max_request_bytes,
            files=settings.max_batch * inputs,
        )
        file_with_headers = settings.max_upload_bytes + HEADERS * HEADER_BYTES
        self._limits = replace(
            self._batch_limits,
            body_bytes=min(inputs * file_with_headers, settings.max_request_bytes),
        )

    async def single(self, request: Request) -> Response:
        """Answer `{"score": ...}` for one image or pair."""
        outputs = await self._one(request, (SCORE,))
        return JSONResponse({"score": _score(outputs)})

    async def map(self, request: Request) -> Response:
        """Answer the map of one image or pair: where the score comes from."""
        kind = maps.media_type(request.headers.get("accept", ""))
        wanted = [SCORE, "MAP"]
        if self._metric.details and self._metric.map and self._metric.map.with_details:
            wanted.append(self._metric.details.output)
        outputs = await self._one(request, wanted)
        return await asyncio.to_thread(maps.answer, self._metric, outputs, kind)

    async def batch(self, request: Request) -> Response:
        """Answer `{"results": [...]}`, an entry for each image or pair in upload order."""
        with self._admission.admit(declared_bytes=_declared(request, self._batch_limits)) as room:
            caller = _caller(request, room, self._settings)
            async with caller.deadline.enforced():
                uploads = await read_uploads(request, self._batch_limits, room.hold)
            items = forms.items(uploads, self._metric.batch_fields, self._settings.max_batch)
            room.take(len(items))
            results = await asyncio.gather(*(self._result(item, caller) for item in items))
            return JSONResponse({"results": results})

    async def _one(self, request: Request, outputs: Sequence[str]) -> Outputs:
        with self._admission.admit(declared_bytes=_declared(request, self._limits)) as room:
            caller = _caller(request, room, self._settings)
            async with caller.deadline.enforced():
                uploads = await read_uploads(request, self._limits, room.hold)
            item = forms.item(uploads, self._metric.fields)
            room.take(1)
            return await self._infer(item, caller, outputs)

    async def _result(self, item: Sequence[Upload], caller: Caller) -> dict[str, str | float]:
        filename = item[-1].filename or ""
        try:
            outputs = await self._infer(item, caller, (SCORE,))
        except Problem as problem:
            PROBLEMS.labels(problem.code).inc()
            return {"filename": filename, "error": str(problem)}
        return {"filename": filename, "score": _score(outputs)}

    async def _infer(
        self, item: Sequence[Upload], caller: Caller, outputs: Sequence[str]
    ) -> Outputs:
        files = [upload.data for upload in item]
        answer = await self._pipeline.score([self._metric], files, caller, outputs)
        return answer[self._metric.name]


def build_router(
    metrics: Sequence[Metric],
    settings: Settings,
    admission: Admission,
    pipeline: Pipeline,
    triton: TritonClient,
) -> APIRouter:
    """All routes of these metrics below `/api/v1/iqa`; each also answers without its last slash."""
    router = APIRouter(prefix=PREFIX)

    async def list_metrics() -> JSONResponse:
        """What each metric means, and which implementation and weights compute it."""
        parameters = await asyncio.gather(
            *(triton.model_parameters(metric.name) for metric in metrics)
        )
        paths = [f"{PREFIX}{metric.path}/" for metric in metrics]
        return JSONResponse({"metrics": list(map(describe, metrics, paths, parameters))})

    _add(router, "GET", "", list_metrics, documentation.describe_route())
    for metric in metrics:
        handlers = MetricRoutes(metric, settings, admission, pipeline)
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


def _caller(request: Request, room: Room, settings: Settings) -> Caller:
    state = request.scope["state"]
    return Caller(_deadline(request, settings), room, state["request_id"])


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


def _declared(request: Request, limits: UploadLimits) -> int:
    """Bytes that the body says to have, capped: too large a body gets 413 and not 503."""
    declared = request.headers.get("content-length", "")
    return min(int(declared), limits.body_bytes) if declared.isdecimal() else 0


def _score(outputs: Outputs) -> float:
    return float(outputs[SCORE][0])  # finite: it would be an error otherwise
