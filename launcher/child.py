"""A child process that never outlives the launcher and is started again when it dies."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

# Has the kernel kill the command when the thread that started it ends. A `preexec_fn` could ask for
# that, too, but needs a copy of the launcher's memory; without one the child is started by vfork.
DYING_WITH_PARENT = ("setpriv", "--pdeathsig=KILL", "--")
FIRST_DELAY, LONGEST_DELAY = 0.125, 4.0  # seconds before a restart, doubled each time...
CALM = 10.0  # ...until it has lived this long
LOG_LINES = 1000
POLL = 0.02  # seconds between looks at one that is to end


class Child:
    """One process in a session of its own, so that Ctrl-C reaches only the launcher.

    Attributes:
        name: for messages.
        log: the last lines that it printed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        sockets: Sequence[int] = (),
        echo: re.Pattern[str],
    ) -> None:
        """Describe the process.

        Args:
            name: for messages.
            command: its command line.
            environment: what it gets in addition to ours.
            sockets: file descriptors that it inherits.
            echo: matches the lines to pass on to standard error.
        """
        self.name = name
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._sockets = sockets
        self._echo = echo
        self._process: subprocess.Popen[str] | None = None
        self._started = 0.0
        self._delay = FIRST_DELAY / 2
        self._due: float | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None before the start."""
        return self._process.pid if self._process else None

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it, and not its own decision."""
        return self._process is not None and (self._process.returncode or 0) < 0

    def start(self) -> None:
        """Start the process; call from the main thread, whose end would be its end."""
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [*DYING_WITH_PARENT, *self._command],
            env=self._environment,
            pass_fds=self._sockets,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._read_log, args=(self._process,), daemon=True).start()

    def is_alive(self) -> bool:
        """Whether it runs; what it started ends with it."""
        if self._process is None or self._process.returncode is not None:
            return False
        # Only looked at: until it is reaped, no other process group can have its number.
        if not os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        self._end(self._process)
        return False

    def restart_when_due(self) -> bool:
        """Start a dead process again after its back-off; True when that happened just now."""
        if self.is_alive():
            return False
        now = time.monotonic()
        if self._due is None:
            calm = now - self._started > CALM
            self._delay = FIRST_DELAY if calm else min(2 * self._delay, LONGEST_DELAY)
            self._due = now + self._delay
            logger.warning("%s ended (%s): restart in %gs", self.name, self._ending(), self._delay)
        if now < self._due:
            return False
        self._due = None
        self.start()
        return True

    def kill(self) -> None:
        """End it and what it started at once."""
        if self._process and self.is_alive():
            self._end(self._process)

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process and self.is_alive():
            os.kill(self._process.pid, signal.SIGTERM)

    def wait(self, patience: float, enough: re.Pattern[str] | None = None) -> None:
        """Wait until it has ended or printed what is `enough`; after `patience` seconds, end it."""
        end = time.monotonic() + patience
        while self.is_alive():
            if enough and any(map(enough.search, list(self.log))):
                return
            if time.monotonic() > end:
                logger.warning("%s did not end in %gs: killed", self.name, patience)
                self.kill()
            time.sleep(POLL)

    def _end(self, process: subprocess.Popen[str]) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _ending(self) -> str:
        code = self._process.returncode if self._process else None
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            self.log.append(line.rstrip("\n"))
            if self._echo.match(line):
                sys.stderr.write(line)
