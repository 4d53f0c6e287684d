"""The ASGI application: puts the pieces together and answers for what goes wrong."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from decoding.pictures import warm_up
from gateway import page
from gateway.admission import Admission
from gateway.documentation import DESCRIPTION, UNAUTHORIZED, problem_responses
from gateway.http.access import guard
from gateway.http.problems import Problem
from gateway.observability import tracing
from gateway.observability.telemetry import (
    DECODE,
    PROBLEMS,
    WAIT,
    RequestTelemetry,
    configure_logging,
    exposition,
)
from gateway.routes import build_router
from gateway.scoring import Scorer
from gateway.settings import Settings
from gateway.triton.client import TritonClient
from gateway.triton.readiness import Readiness

if TYPE_CHECKING:
    from gateway.observability.spans import Spans

logger = logging.getLogger(__name__)

# Objects until cyclic garbage is looked for, which neither requests nor their errors make: at
# Python's 700 that takes over 1% of the time.
GARBAGE = 20_000
HUNG_UP = 499  # what nginx logs for a client that left; nobody receives it
BYTES_PER_PIXEL = 3
LARGEST_REQUEST = 2  # images


def create_app(settings: Settings | None = None) -> ASGIApp:
    """Build the application; it connects to Triton when it starts."""
    settings = settings or Settings()
    configure_logging(settings.log_level)
    spans = tracing.start()
    triton = TritonClient(
        settings.triton_url,
        settings.transport,
        region_bytes=settings.shm_megabytes << 20,
        largest_slot=settings.max_pixels * BYTES_PER_PIXEL * LARGEST_REQUEST,
        key_file=settings.triton_key_file,
        interceptors=[spans.of_inferences(settings.triton_url)] if spans else [],
    )
    admission = Admission(settings.max_in_flight, settings.max_held_bytes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warm_up()
        triton.connect()
        gc.freeze()  # what was loaded stays: looking through it again would hold requests up
        gc.set_threshold(GARBAGE)
        yield
        await triton.close()
        if spans:
            await asyncio.to_thread(spans.close)

    api: FastAPI = FastAPIOffline(
        title="Image quality",
        version=version("iqa-service"),
        description=DESCRIPTION,
        docs_url="/",
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    # A trace has its own calls of Triton.
    scorer = Scorer(settings, admission, triton, together=spans is None)
    router = build_router(settings, admission, scorer, triton)
    if settings.keys():  # for the API page alone: what asks for a key is `guard`
        bearer = Security(HTTPBearer(auto_error=False))
        api.include_router(router, dependencies=[bearer], responses=UNAUTHORIZED)
    else:
        api.include_router(router)
    api.include_router(page.router)
    _add_probes(api, Readiness(triton))
    for error in (Problem, HTTPException, ClientDisconnect, Exception):
        api.add_exception_handler(error, answer_error)
    app = RequestTelemetry(guard(Shortcut(api, router), settings, answer_error))
    return _traced(app, spans) if spans else app


def _traced(app: ASGIApp, spans: Spans) -> ASGIApp:
    for stage in (WAIT, DECODE):  # the call of Triton has a span already
        spans.of_stage(stage)
    return spans.of_requests(app)


def _add_probes(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/healthz", tags=["Operation"])
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["Operation"], responses=problem_responses(503))
    async def readyz() -> dict[str, str]:
        """Every model has just answered a small inference."""
        silent = await readiness.silent_models()
        if silent:
            raise Problem("backend_unavailable", f"Not answering: {', '.join(silent)}.")
        return {"status": "ready"}

    @app.get("/metrics", tags=["Operation"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus metrics of all workers."""
        return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def answer_error(request: Request, error: Exception) -> Response:
    """The answer to whatever a handler raised."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=HUNG_UP)
    headers: Mapping[str, str] = {}
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, HTTPException) and error.status_code == 405:
        problem = Problem("method_not_allowed", "This path does not take this method.")
        headers = error.headers or {}
    elif isinstance(error, HTTPException):
        problem = Problem("not_found", "There is nothing here: see / for what there is.")
    else:
        logger.error("defect", exc_info=error, extra={"request_id": request.state.request_id})
        problem = Problem("internal_error", "Something went wrong here: report the request id.")
    PROBLEMS.labels(problem.code).inc()
    request.state.problem = problem.code
    response = problem.response(request.state.request_id)
    response.headers.update(headers)
    return response


class Shortcut:
    """ASGI: scoring calls go straight to their handlers, everything else to FastAPI.

    FastAPI knows the same handlers, for its documentation; its own way to them would take a third
    of the time that the gateway spends on a request.
    """

    def __init__(self, app: FastAPI, router: APIRouter) -> None:
        self._app = app
        routes = [route for route in router.routes if isinstance(route, APIRoute)]
        self._posts = {route.path: route for route in routes if "POST" in (route.methods or ())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._posts.get(scope["path"]) if scope["type"] == "http" else None
        if route is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive)
        try:
            response = await route.endpoint(request)
        except Exception as error:
            response = await answer_error(request, error)
        await response(scope, receive, send)


app = create_app()
