"""The processes of the service: how a Triton and a gateway worker are run."""

from __future__ import annotations

import logging
import re
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.observability import tracing
from gateway.triton import key as triton_key
from launcher import tritonserver
from launcher.addresses import LOOPBACK, reachable
from launcher.child import Child
from launcher.failure import LaunchError
from launcher.options import Options
from launcher.tritonserver import Endpoints

logger = logging.getLogger(__name__)

KEEP_ALIVE = 75  # seconds: longer than a proxy's pool, usually 60, keeps a connection
BACKLOG = 1024
EVERYTHING = re.compile("")
# Pixels of one request after another: glibc would return their memory to the system each time, and
# clearing and mapping it again would cost as much as the gateway's own work on a request.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
# One thread of gRPC takes an answer to the event loop, instead of three that wake each other: for a
# lone request a worker has 9% less to do.
FEW_GRPC_THREADS = {"GRPC_EXPERIMENTS": "-event_engine_client"}
# As glog marks them, but for the one that says that there is no GPU.
TRITON_ERRORS = re.compile(r"[EF]\d{4} (?!.*CudaDriverHelper)")


def triton(options: Options, workspace: Path, memory_prefix: str) -> tuple[Child, dict[str, str]]:
    """A tritonserver, and the variables with which a worker may use its shared memory.

    Args:
        options: of the launcher.
        workspace: an empty folder.
        memory_prefix: how the names of its shared memory start.

    Raises:
        LaunchError: something that is needed is missing.
    """
    if not options.model_repository.is_dir():
        raise LaunchError(f"There is no model repository at {options.model_repository}.")
    server = tritonserver.find(workspace)
    endpoints = Endpoints(
        options.triton_host,
        options.triton_http_port,
        options.triton_grpc_port,
        options.triton_metrics_port,
    )
    command = server.command(
        options.model_repository,
        endpoints,
        memory_prefix,
        options.model_config_name,
        options.metric_names(),
    )
    access = {}
    if options.triton_host not in LOOPBACK:
        logger.warning(
            "Triton itself is open to %s: whoever reaches it may use the models, see SECURITY.md",
            options.triton_host,
        )
        file = workspace / "triton-key"
        command += triton_key.options(_new_key(file))
        access["IQA_TRITON_KEY_FILE"] = str(file)
    command += tracing.triton_options()
    echo = EVERYTHING if options.log_level == "debug" else TRITON_ERRORS
    return Child("Triton", command, KEEP_MEMORY | server.environment, echo=echo), access


def worker(
    options: Options, number: int, listener: socket.socket, environment: Mapping[str, str]
) -> Child:
    """A gateway worker that accepts the connections of `listener`."""
    command = [
        *(sys.executable, "-m", "uvicorn", "--factory", "gateway.app:create_app"),
        f"--fd={listener.fileno()}",
        f"--timeout-graceful-shutdown={options.drain_seconds}",
        f"--backlog={BACKLOG}",
        f"--timeout-keep-alive={KEEP_ALIVE}",
        f"--root-path={options.root_path}",
        *("--loop=uvloop", "--http=gateway.http.protocol:BoundedProtocol", "--lifespan=on"),
        *("--no-access-log", "--no-server-header", "--no-proxy-headers"),
    ]
    own_triton = reachable(options.triton_host, options.triton_grpc_port)
    variables = {
        **KEEP_MEMORY,
        **FEW_GRPC_THREADS,
        "IQA_TRITON_URL": options.triton_url or own_triton,
        "IQA_METRICS": options.metrics,
        "IQA_LOG_LEVEL": options.log_level,
        **environment,
    }
    name = f"gateway worker {number}"
    return Child(name, command, variables, sockets=[listener.fileno()], echo=EVERYTHING)


def _new_key(file: Path) -> str:
    """A key that only those know who may read the file."""
    key = secrets.token_hex(16)
    file.touch(0o600)
    file.write_text(key)
    return key
