"""Ports for the servers that benchmarks and tests start."""

from __future__ import annotations

import os
import socket
from itertools import cycle

# Below the ports that Linux gives to outgoing connections, one of which might else be taken between
# being found free and being listened on. Of processes that run tests up to six have some each.
LOWEST, EACH, PROCESSES = 20_000, 2_000, 6
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % PROCESSES
_own = LOWEST + EACH * _process
_start = os.getpid() % EACH
_ports = cycle([*range(_own + _start, _own + EACH), *range(_own, _own + _start)])


def free_ports(count: int) -> list[int]:
    """Consecutive ports that nobody uses on IPv4; in turn, so that none comes again soon."""
    for _ in range(EACH):
        ports = [next(_ports) for _ in range(count)]
        if ports[-1] - ports[0] == count - 1 and all(map(_is_free, ports)):
            return ports
    raise OSError("no ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("", port))
        except OSError:
            return False
    return True
