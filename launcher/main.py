"""The command `iqa-serve`: what is checked before the start, and the signals that end it."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.settings import Settings
from launcher import reporting
from launcher.addresses import LOOPBACK
from launcher.failure import LaunchError
from launcher.options import Options, parse, unknown_variables
from launcher.service import Service

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    try:
        options = parse(arguments)
    except LaunchError as error:
        print(f"iqa-serve: {error}", file=sys.stderr)
        return 1
    reporting.configure(options)
    try:
        check_ports(options)
        for warning in [*unknown_variables(), *_exposure(options)]:
            logger.warning("%s", warning)
        with tempfile.TemporaryDirectory(prefix="iqa-serve-") as folder, _stop_signals():
            Service(options, Path(folder)).run()
    except LaunchError as error:
        logger.critical("%s", error)
        return 1
    except _Stopped:
        pass
    return 0


def check_ports(options: Options) -> None:
    """Refuse to start where a port is taken.

    Raises:
        LaunchError: which one.
    """
    wanted = [("--port", options.host, options.port)]
    if options.metrics_port:
        wanted.append(("--metrics-port", options.host, options.metrics_port))
    if not options.triton_url:
        wanted += [
            ("--triton-http-port", options.triton_host, options.triton_http_port),
            ("--triton-grpc-port", options.triton_host, options.triton_grpc_port),
            ("--triton-metrics-port", options.triton_host, options.triton_metrics_port),
        ]
    for option, host, port in wanted:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise LaunchError(
                    f"Port {port} on {host} cannot be used ({error.strerror}): "
                    f"choose another with {option}."
                ) from error


def _exposure(options: Options) -> Iterator[str]:
    """A warning where people of other machines may call without a key."""
    if options.host not in LOOPBACK and not Settings().keys():
        yield (
            f"Whoever reaches port {options.port} may use the service: "
            "IQA_API_KEYS sets the keys that it asks for."
        )


class _Stopped(BaseException):
    """SIGINT or SIGTERM came."""


@contextmanager
def _stop_signals() -> Iterator[None]:
    def stop(*_: object) -> None:
        # A second signal must not interrupt the draining.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    yield
