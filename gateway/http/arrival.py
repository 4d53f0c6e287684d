"""Requests as they come: below a proxy's prefix, without their last slash, HEAD instead of GET."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette._utils import get_route_path  # what Starlette routes by
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)  # it comes back in the links of pages


class Arrival:
    """ASGI: what everything behind it need not know of.

    Where a trusted proxy has cut a prefix off the path it says so in `X-Forwarded-Prefix`, and the
    links of the pages start with it. An API path may lack its last slash. HEAD is answered as GET;
    the server leaves the body out.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            if scope["method"] == "HEAD":
                scope = {**scope, "method": "GET"}
            if self._proxies and (prefix := self._prefix(scope)):
                root = prefix + scope.get("root_path", "")
                scope = {**scope, "root_path": root, "path": prefix + scope["path"]}
            if not scope["path"].endswith("/") and get_route_path(scope).startswith("/api/"):
                scope = {**scope, "path": scope["path"] + "/"}
        await self._app(scope, receive, send)

    def _prefix(self, scope: Scope) -> str:
        prefix = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
        if not PREFIX.fullmatch(prefix) or not scope.get("client"):
            return ""
        client = ip_address(scope["client"][0])
        return prefix if any(client in network for network in self._proxies) else ""
