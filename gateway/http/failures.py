"""The answers to what goes wrong: whatever a handler raises, and the end of the service itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.problems import Problem
from gateway.observability.metrics import PROBLEMS

logger = logging.getLogger(__name__)

HUNG_UP = 499  # what nginx logs for a client that left; nobody receives it


class Failures:
    """ASGI: answers where the application raises; the server cancels what it will not wait for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        has_begun = scope["type"] != "http"

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except (Exception, asyncio.CancelledError) as error:
            if has_begun:
                raise
            await answer(Request(scope), error)(scope, receive, send)


def answer(request: Request, error: BaseException) -> Response:
    """The answer to a request that raised this."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=HUNG_UP)
    headers: Mapping[str, str] = {}
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, asyncio.CancelledError):
        stopping = "The service is stopping: try again."
        problem = Problem("backend_unavailable", stopping, retry_after=5)
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
