"""The models with a BRISQUE that a test holds up: it waits while a file is there, or is slow."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher.options import REPOSITORY

# However long a test holds a model up, it is not taken for stuck and its Triton not killed.
NEVER_STUCK = "import launcher.watchdog; launcher.watchdog.PATIENCE = 3600"
MODEL = """

class TritonPythonModel(TritonPythonModel):
    def execute(self, requests):
        import os, time
        with open({log!r}, "a") as log:
            log.write("".join(request.request_id() + "\\n" for request in requests))
        time.sleep({pause!r} * len(requests))
        while os.path.exists({obstacle!r}):
            time.sleep(0.01)
        return super().execute(requests)
"""


@dataclass(frozen=True)
class Hindered:
    """A model repository.

    Attributes:
        repository: its folder.
        obstacle: while this file is there, BRISQUE does nothing.
        log: file with the id of each request that BRISQUE took, a line for each.
    """

    repository: Path
    obstacle: Path
    log: Path

    def scored(self) -> Counter[str]:
        """How many images BRISQUE took of each request to the gateway; probes have no id."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return Counter(each for line in lines for each in line.split(",") if each)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """BRISQUE does nothing while the block runs."""
        self.obstacle.touch()
        try:
            yield
        finally:
            self.obstacle.unlink()


def hindered(folder: Path, pause: float = 0.0) -> Hindered:
    """Write the repository to `folder`; BRISQUE takes `pause` seconds more for each request."""
    made = Hindered(folder / "models", folder / "obstacle", folder / "log")
    shutil.copytree(REPOSITORY, made.repository, ignore=shutil.ignore_patterns("__pycache__"))
    with (made.repository / "brisque" / "1" / "model.py").open("a") as model:
        model.write(MODEL.format(pause=pause, obstacle=str(made.obstacle), log=str(made.log)))
    return made
