"""The models with a BRISQUE that a test holds up: it waits while a file is there, or is slow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher.options import REPOSITORY

MODEL = """

class TritonPythonModel(TritonPythonModel):
    def execute(self, requests):
        import os, time
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
    """

    repository: Path
    obstacle: Path

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
    repository, obstacle = folder / "models", folder / "obstacle"
    shutil.copytree(REPOSITORY, repository, ignore=shutil.ignore_patterns("__pycache__"))
    with (repository / "brisque" / "1" / "model.py").open("a") as model:
        model.write(MODEL.format(pause=pause, obstacle=str(obstacle)))
    return Hindered(repository, obstacle)
