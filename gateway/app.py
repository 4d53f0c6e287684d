"""The ASGI application: puts the pieces together and answers for what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from gateway.admission import Admission
from gateway.documentation import DESCRIPTION
from gateway.health import Readiness
from gateway.problems import Problem
from gateway.routes import build_router
from gateway.scoring import Scorer
from gateway.settings import Settings
from gateway.telemetry import (
    IN_FLIGHT,
    PROBLEMS,
    RequestTelemetry,
    configure_logging,
    exposition,
)
from gateway.triton import TritonClient

HUNG_UP = 499  # what nginx logs for a client that left; nobody receives it
BYTES_PER_PIXEL = 3
LARGEST_REQUEST = 2  # images


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; it connects to Triton when it starts."""
    settings = settings or Settings()
    configure_logging(settings.log_level)
    triton = TritonClient(
        settings.triton_url,
        settings.transport,
        region_bytes=settings.shm_megabytes << 20,
        largest_slot=settings.max_pixels * BYTES_PER_PIXEL * LARGEST_REQUEST,
    )
    admission = Admission(settings.max_in_flight, settings.max_held_bytes)
    IN_FLIGHT.set_function(lambda: admission.in_flight)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        triton.connect()
        yield
        await triton.close()

    app: FastAPI = FastAPIOffline(
        title="Image quality",
        version=version("iqa-service"),
        description=DESCRIPTION,
        docs_url="/",
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.include_router(build_router(settings, admission, Scorer(settings, triton), triton))
    _add_probes(app, Readiness(triton))
    _add_problem_handlers(app)
    app.add_middleware(RequestTelemetry)
    return app


def _add_probes(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/healthz", tags=["Operation"])
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["Operation"])
    async def readyz() -> dict[str, str]:
        """Every model has just answered a small inference."""
        silent = await readiness.silent_models()
        if silent:
            raise Problem("backend_unavailable", f"Not answering: {', '.join(silent)}.")
        return {"status": "ready"}

    @app.get("/metrics", tags=["Operation"])
    async def metrics() -> Response:
        """Prometheus metrics of all workers."""
        return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_problem_handlers(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def answer_problem(request: Request, problem: Problem) -> Response:
        PROBLEMS.labels(problem.code).inc()
        request.state.problem = problem.code
        return problem.response(request.state.request_id)

    @app.exception_handler(HTTPException)
    async def answer_http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            problem = Problem("method_not_allowed", "This path does not take this method.")
        else:
            problem = Problem("not_found", "There is nothing here: see / for what there is.")
        response = await answer_problem(request, problem)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ClientDisconnect)
    async def note_hang_up(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=HUNG_UP)

    @app.exception_handler(Exception)
    async def answer_defect(request: Request, _error: Exception) -> JSONResponse:
        # Starlette logs the traceback; the client gets none of it.
        problem = Problem("internal_error", "Something went wrong here: report the request id.")
        return problem.response(request.state.request_id)


app = create_app()
