"""The answer to requests that are still in work when the time for draining is over."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.access import AnswerError
from gateway.http.problems import Problem


class Stopping:
    """ASGI: says that the service is stopping where the server would answer a plain 500."""

    def __init__(self, app: ASGIApp, answer_error: AnswerError) -> None:
        self._app = app
        self._answer_error = answer_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the server cancels it when it will wait no longer."""
        has_begun = scope["type"] != "http"

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except asyncio.CancelledError:
            if has_begun:
                raise
            problem = Problem(
                "backend_unavailable", "The service is stopping: try again.", retry_after=5
            )
            response = await self._answer_error(Request(scope), problem)
            await response(scope, receive, send)
