"""The REST calls: routes for each metric of the catalogue, and what they offer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from decoding import CONTRACT, RULES
from gateway import documentation, maps
from gateway.admission import Admission
from gateway.deadline import Deadline
from gateway.describe import describe
from gateway.http import forms
from gateway.http.problems import Problem
from gateway.http.uploads import HEADER_BYTES, UploadLimits, read_uploads
from gateway.item import SCORE, Answer, Caller, Item
from gateway.observability.metrics import PROBLEMS
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.source import Source
from gateway.triton.client import TritonClient
from gateway.triton.messages import Outputs
from iqa.metric import Metric
from iqa.simd.levels import level

PREFIX = "/api/v1/iqa"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Handlers:
    """Handlers of the metrics that compare the same files."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        settings: Settings,
        admission: Admission,
        pipeline: Pipeline,
    ) -> None:
        self._metrics = {metric.name: metric for metric in metrics}
        self._metric = metrics[0]
        self._settings = settings
        self._admission = admission
        self._pipeline = pipeline
        inputs = len(self._metric.fields)
        self._batch_limits = UploadLimits(
            file_bytes=settings.max_upload_bytes,
            body_bytes=settings.max_request_bytes,
            files=settings.max_batch * inputs,
        )
        file_with_headers = settings.max_upload_bytes + 2 * HEADER_BYTES
        self._limits = replace(
            self._batch_limits,
            body_bytes=min(inputs * file_with_headers, settings.max_request_bytes),
        )

    async def single(self, request: Request) -> Response:
        """Answer `{"score": ...}` for one image or pair."""
        with self._caller(request, self._limits) as caller:
            answer = await self._answer(request, caller)
            return JSONResponse({"score": _score(answer[self._metric.name])})

    async def several(self, request: Request) -> Response:
        """Answer `{"scores": {...}}` of one image or pair by several metrics."""
        with self._caller(request, self._limits) as caller:
            answer = await self._answer(request, caller, may_choose=True)
            return JSONResponse({"scores": {name: _score(of) for name, of in answer.items()}})

    async def map(self, request: Request) -> Response:
        """Answer the map of one image or pair: where the score comes from."""
        metric = self._metric
        kind = maps.media_type(request.headers.get("accept", ""))
        wanted = [SCORE, "MAP"]
        if metric.details and metric.map and metric.map.with_details:
            wanted.append(metric.details.output)
        with self._caller(request, self._limits) as caller:
            answer = await self._answer(request, caller, wanted)
            return await asyncio.to_thread(maps.answer, metric, answer[metric.name], kind)

    async def batch(self, request: Request) -> Response:
        """Answer `{"results": [...]}`, an entry for each image or pair in upload order."""
        with self._caller(request, self._batch_limits) as caller:
            async with caller.deadline.enforced():
                uploads = await read_uploads(request, self._batch_limits, caller.room.hold)
                fields, most = self._metric.batch_fields, self._settings.max_batch
                groups = forms.items(uploads, fields, most)
                uses = Counter(id(upload) for group in groups for upload in group)
                sources = {
                    id(each): Source(each.data, is_shared=uses[id(each)] > 1) for each in uploads
                }
                items = [
                    Item(caller, [self._metric], [sources[id(upload)] for upload in group])
                    for group in groups
                ]
                await self._pipeline.admit(items)
            names = [group[-1].filename or "" for group in groups]
            results = await asyncio.gather(*map(self._result, items, names))
            return JSONResponse({"results": results})

    @contextmanager
    def _caller(self, request: Request, limits: UploadLimits) -> Iterator[Caller]:
        """Who waits for the answer; admitted while the block runs.

        Where Triton is gone the body is not even read: its start needs the CPU time.
        """
        self._pipeline.require_triton()
        deadline = _deadline(request, self._settings)
        with self._admission.admit(declared_bytes=_declared(request, limits)) as room:
            yield Caller(deadline, room, request.scope["state"]["request_id"])

    def _chosen(self, names: str) -> list[Metric]:
        """The metrics of these names, separated by commas; all where none is given."""
        listed = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
        if unknown := [name for name in listed if name not in self._metrics]:
            known = ", ".join(self._metrics)
            raise Problem("invalid_request", f"There is no metric {unknown[0]} here, but {known}.")
        return [self._metrics[name] for name in listed] or list(self._metrics.values())

    async def _answer(
        self,
        request: Request,
        caller: Caller,
        outputs: Sequence[str] = (SCORE,),
        *,
        may_choose: bool = False,
    ) -> Answer:
        """What the models make of the one image or pair of a request."""
        async with caller.deadline.enforced():
            uploads = await read_uploads(request, self._limits, caller.room.hold)
            metrics = [self._metric]
            if may_choose:
                metrics = self._chosen(forms.text(uploads, "metrics"))
            files = forms.item(uploads, self._metric.fields)
            item = Item(caller, metrics, [Source(file.data) for file in files], outputs)
            await self._pipeline.admit([item])
            return await self._pipeline.score(item)

    async def _result(self, item: Item, filename: str) -> dict[str, str | float]:
        try:
            async with item.caller.deadline.enforced():
                answer = await self._pipeline.score(item)
        except Problem as problem:
            PROBLEMS.labels(problem.code).inc()
            return {"filename": filename, "error": str(problem)}
        return {"filename": filename, "score": _score(answer[self._metric.name])}


class Direct(APIRoute):
    """A route whose handler takes the request and returns the answer, which FastAPI documents."""

    def __init__(self, path: str, endpoint: Handler, **documentation: Any) -> None:
        super().__init__(path, endpoint, **documentation)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive))
            await response(scope, receive, send)

        # FastAPI's own would look for dependencies, parameters and a body first.
        self.app = app


def add_routes(
    app: FastAPI,
    metrics: Sequence[Metric],
    settings: Settings,
    admission: Admission,
    pipeline: Pipeline,
    triton: TritonClient,
) -> None:
    """Add all routes of these metrics below `/api/v1/iqa`."""
    common: dict[str, Any] = {"route_class_override": Direct}
    if settings.keys():  # for the API page alone: what asks for a key is `access.guard`
        common["dependencies"] = [Security(HTTPBearer(auto_error=False))]

    def add(method: str, path: str, handler: Handler, description: dict[str, Any]) -> None:
        if settings.keys():
            description["responses"] |= documentation.UNAUTHORIZED
        path = f"{PREFIX}{path}/"
        app.router.add_api_route(path, handler, methods=[method], **common, **description)

    async def list_metrics(_: Request) -> Response:
        """What each metric means, and which implementation and weights compute it."""
        parameters = await asyncio.gather(
            *(triton.model_parameters(metric.name) for metric in metrics)
        )
        paths = [f"{PREFIX}{metric.path}/" for metric in metrics]
        return JSONResponse(
            {
                "metrics": list(map(describe, metrics, paths, parameters)),
                "decoding": {"version": CONTRACT, **RULES},
                # That of this machine, which may not be Triton's.
                "cpu_level": level() if await triton.is_here() else None,
            }
        )

    add("GET", "", list_metrics, documentation.describe_route())
    for metric in metrics:
        handlers = Handlers([metric], settings, admission, pipeline)
        add("POST", metric.path, handlers.single, documentation.single_route(metric))
        batch = documentation.batch_route(metric, settings.max_batch)
        add("POST", f"{metric.path}/batch", handlers.batch, batch)
        if metric.map:
            map_route = documentation.map_route(metric, metric.map)
            add("POST", f"{metric.path}/map", handlers.map, map_route)
    for path in dict.fromkeys(_folder(metric) for metric in metrics):
        group = [metric for metric in metrics if _folder(metric) == path]
        several = Handlers(group, settings, admission, pipeline).several
        add("POST", path, several, documentation.several_route(group))
    # Starlette tries one after the other: those that are called most come first.
    app.router.routes.sort(key=lambda route: not isinstance(route, Direct))


def _folder(metric: Metric) -> str:
    """`/nr` or `/fr`, below which the metrics compare the same files."""
    return metric.path.rpartition("/")[0]


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
