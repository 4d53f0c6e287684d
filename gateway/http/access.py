"""Who may call: optional API keys and origins, and what browsers may do with an answer."""

from __future__ import annotations

import hmac
from hashlib import sha256

from starlette._utils import get_route_path  # what Starlette routes by, so that none slips by
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http import failures
from gateway.http.problems import Problem
from gateway.settings import Settings

PROTECTED = ("/api/", "/metrics")  # but not the probes and the pages, which show nothing
PAGE = "/ui/"
SCHEME = "bearer"

# The API page runs a script that it carries inline.
API_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
POLICY = "default-src 'none'; frame-ancestors 'none'"


def guard(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Put in front of the application what the settings ask for."""
    if keys := settings.keys():
        app = _ApiKeys(app, keys)
    if origins := settings.origins():
        app = CORSMiddleware(
            app,
            origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-Request-ID", "X-Request-Timeout"],
            expose_headers=["*"],
        )
    return _BrowserPolicy(app)


class _ApiKeys:
    """ASGI: lets through who sends `Authorization: Bearer <one of the keys>` (RFC 6750)."""

    def __init__(self, app: ASGIApp, keys: list[str]) -> None:
        self._app = app
        self._digests = [sha256(key.encode()).digest() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer 401."""
        protected = scope["type"] == "http" and get_route_path(scope).startswith(PROTECTED)
        if not protected or self._knows(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        problem = Problem("unauthorized", "Send a valid key: Authorization: Bearer <key>.")
        response = failures.answer(Request(scope), problem)
        response.headers["WWW-Authenticate"] = "Bearer"
        await response(scope, receive, send)

    def _knows(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        digest = sha256(key.strip(" ").encode("latin-1")).digest()
        # All are compared, each in constant time: how long it takes tells nothing of any key.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return scheme.lower() == SCHEME and any(matches)


class _BrowserPolicy:
    """ASGI: tells browsers to take answers for nothing but what they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = _headers(POLICY)
        self._headers_of_api_page = _headers(API_PAGE_POLICY)
        # An upgraded service must not meet yesterday's script.
        self._headers_of_page = [*_headers(PAGE_POLICY), (b"cache-control", b"no-cache")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = get_route_path(scope)
        headers = self._headers_of_api_page if path == "/" else self._headers
        headers = self._headers_of_page if path.startswith(PAGE) else headers

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._app(scope, receive, send_with_policy)


def _headers(policy: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", policy.encode()),
    ]
