"""The ASGI application: puts the pieces together and answers for what goes wrong."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from decoding.pictures import warm_up
from gateway.admission import Admission
from gateway.documentation import DESCRIPTION, problem_responses
from gateway.http.access import guard
from gateway.http.arrival import Arrival
from gateway.http.problems import Problem
from gateway.http.protocol import HEADER_TIMEOUT
from gateway.http.stopping import Stopping
from gateway.observability import tracing
from gateway.observability.logging import configure_logging
from gateway.observability.metrics import PROBLEMS, exposition
from gateway.observability.requests import RequestTelemetry
from gateway.pipeline import Pipeline
from gateway.routes import add_routes
from gateway.settings import Settings
from gateway.triton.client import TritonClient
from gateway.triton.readiness import Readiness
from iqa.catalogue import chosen

logger = logging.getLogger(__name__)

# Objects until cyclic garbage is looked for, which neither requests nor their errors make.
GARBAGE = 20_000
HUNG_UP = 499  # what nginx logs for a client that left; nobody receives it
BYTES_PER_PIXEL = 3
LARGEST_REQUEST = 2  # images
CONCURRENT_STACKS = 4  # for which there is memory at once, at least


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
    )
    metrics = chosen(settings.metric_names())
    admission = Admission(settings.max_megapixels, settings.max_held_bytes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        warm_up()
        triton.connect()
        gc.freeze()  # what was loaded stays, and need not be looked through again
        gc.set_threshold(GARBAGE)
        yield {HEADER_TIMEOUT: settings.header_timeout}
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
        # Its own spans would double those of OpenTelemetry's middleware, which has all requests.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    pipeline = Pipeline(settings, triton, (settings.shm_megabytes << 20) // CONCURRENT_STACKS)
    add_routes(api, metrics, settings, admission, pipeline, triton)
    _add_page(api)
    _add_probes(api, Readiness(triton, metrics))
    for error in (Problem, HTTPException, ClientDisconnect, Exception):
        api.add_exception_handler(error, answer_error)
    app: ASGIApp = guard(api, settings, answer_error)
    app = RequestTelemetry(Stopping(app, answer_error))
    return Arrival(spans.of_requests(app) if spans else app, settings.proxies())


def _add_page(app: FastAPI) -> None:
    @app.get("/ui", include_in_schema=False)
    async def page() -> Response:
        """The page's own links are relative to a path with its last slash."""
        return RedirectResponse("ui/")

    app.mount("/ui", StaticFiles(directory=Path(__file__).with_name("ui"), html=True))


def _add_probes(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/healthz", tags=["Operation"])
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["Operation"], responses=problem_responses("backend_unavailable"))
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
