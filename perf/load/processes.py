"""A server that is measured: started, watched together with its child processes, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE = 30  # seconds that a server may take to stop


class Server:
    """A running server with all processes that it started.

    Attributes:
        pid: of the process that started the others.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start `command`; what it prints goes into the file `log`.

        It gets our environment and what `environment` adds.
        """
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._command = " ".join(command)
        self._log = log

    def require_running(self) -> None:
        """Do nothing while it runs.

        Raises:
            RuntimeError: it has ended; with the end of what it printed.
        """
        if self._process.poll() is not None:
            last_lines = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self._command} ended:\n{last_lines}")

    def cpu_seconds(self) -> float:
        """Seconds that its processes have computed so far, user and system."""
        times = [process.cpu_times() for process in self._tree()]
        return sum(time.user + time.system for time in times)

    def memory(self) -> int:
        """Bytes that its processes hold; a page that several share counts once."""
        return sum(process.memory_full_info().pss for process in self._tree())

    def stop(self) -> int:
        """End it, kindly at first; returns its exit status."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait()

    def _tree(self) -> Iterator[psutil.Process]:
        root = psutil.Process(self.pid)
        yield root
        yield from root.children(recursive=True)
