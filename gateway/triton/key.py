"""The key to what changes a Triton: mapping memory, loading models, its tracing and its log.

Where others than the service itself reach Triton, it asks for the key, and a file has it for those
who may know it. Inference needs none.
"""

from __future__ import annotations

from pathlib import Path

NAME = "iqa-key"
RESTRICTED = "shared-memory,model-repository,trace,logging"
GRPC_PREFIX = "triton-grpc-protocol-"  # Triton puts it before the names of such headers


def options(key: str) -> list[str]:
    """What makes tritonserver ask for `key`."""
    setting = f"{RESTRICTED}:{NAME}={key}"
    return [f"--http-restricted-api={setting}", f"--grpc-restricted-protocol={setting}"]


def metadata(file: Path | None) -> tuple[tuple[str, str], ...]:
    """What lets a gRPC call pass; read anew each time, as each start of Triton may have its own.

    Raises:
        OSError: the file cannot be read.
    """
    return ((GRPC_PREFIX + NAME, file.read_text().strip()),) if file else ()
