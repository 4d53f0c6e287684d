"""The command `iqa-serve`: its options, and the order in which things start and end."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launcher.failure import LaunchError
from launcher.service import Service

REPOSITORY = Path(__file__).parents[1] / "model_repository"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        prog="iqa-serve", description="Serve image-quality scores: a Triton and its gateway."
    )
    add = parser.add_argument
    add("--host", default="0.0.0.0", help="address of the gateway (default: all)")  # noqa: S104  (the gateway is what people are to reach)
    add("--port", type=int, default=8000, help="of the gateway (default: 8000)")
    add(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="gateway processes (default: one for each core)",
    )
    add("--model-repository", type=Path, default=REPOSITORY)
    add("--model-config-name", help="a variant of the models' configuration, such as gpu")
    add("--triton-url", help="gRPC address host:port of a Triton elsewhere; none is started then")
    add(
        "--triton-host",
        default="127.0.0.1",
        help="address of the started Triton (default: loopback, see SECURITY.md)",
    )
    add("--triton-http-port", type=int, default=8100)
    add("--triton-grpc-port", type=int, default=8101)
    add("--triton-metrics-port", type=int, default=8102)
    add(
        "--drain-seconds",
        type=int,
        default=30,
        help="how long accepted requests may take when stopping (default: 30)",
    )
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="info has a line for each request (default: warning)",
    )
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    return options


def check_ports(options: argparse.Namespace) -> None:
    """Refuse to start where a port is taken.

    Raises:
        LaunchError: which one.
    """
    wanted = [("--port", options.host, options.port)]
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    options = parse(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="iqa-serve: %(message)s")
    try:
        check_ports(options)
        with tempfile.TemporaryDirectory(prefix="iqa-serve-") as folder, _stop_signals():
            Service(options, Path(folder)).run()
    except LaunchError as error:
        print(f"iqa-serve: {error}", file=sys.stderr)
        return 1
    except _Stopped:
        pass
    return 0


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
