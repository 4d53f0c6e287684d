"""The ASGI application: puts the pieces together."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi_offline import FastAPIOffline
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from decoding.pictures import warm_up
from gateway.admission import Admission
from gateway.documentation import DESCRIPTION, problem_responses
from gateway.http.access import guard
from gateway.http.arrival import Arrival
from gateway.http.failures import Failures
from gateway.http.problems import Problem
from gateway.http.protocol import HEADER_TIMEOUT
from gateway.observability import tracing
from gateway.observability.logging import configure_logging
from gateway.observability.metrics import exposition
from gateway.observability.requests import RequestTelemetry
from gateway.pipeline import Pipeline
from gateway.routes import add_routes
from gateway.settings import Settings
from gateway.triton.client import TritonClient
from gateway.triton.readiness import Readiness
from iqa.catalogue import chosen

# Objects until cyclic garbage is looked for, which neither requests nor their errors make.
GARBAGE = 20_000
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
    # In place of the layers by which FastAPI itself answers errors, measures and limits.
    api.middleware_stack = Failures(AsyncExitStackMiddleware(api.router))
    app = RequestTelemetry(guard(api, settings))
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
