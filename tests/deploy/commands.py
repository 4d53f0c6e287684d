"""Where the validators that pip installed are, and the repository they check."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def run(command: str, *arguments: str) -> str:
    """Standard output of an installed program, run in the repository's root."""
    program = Path(sysconfig.get_path("scripts"), command)
    done = subprocess.run(
        [program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
