"""Where things listen, where to reach them, and whether they answer."""

from __future__ import annotations

import socket
import urllib.request
from http.client import HTTPException

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOOPBACK_OF_ALL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (what listens on all)


def listen(host: str, port: int) -> socket.socket:
    """A socket for a worker; several may have the same address, and share its connections."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # uvicorn takes an inherited socket for a Unix one and would leave Nagle's algorithm on, which
    # holds an answer's body back for 40 ms; connections inherit this.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((host, port))
    return listener


def reachable(host: str, port: int) -> str:
    """`host:port` at which this machine reaches what listens there."""
    host = LOOPBACK_OF_ALL.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def answers_ok(url: str) -> bool:
    """Whether a GET of one of our own URLs is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  (our own service)
            return bool(response.status == 200)
    except (OSError, HTTPException):
        return False
