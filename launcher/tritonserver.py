"""Finds a tritonserver, on the PATH or in the nvidia-pytriton wheel, and says how to run it."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launcher.failure import LaunchError

LOAD_FAILURE = re.compile(r"failed to load '(?P<model>[^']+)'.*?: (?P<reason>.*?)\"?$")
SCORES_ON = re.compile(r"\] \"?(?P<what>\w+ scores on [^\"]+)")  # what each model says
ANSWERED_ALL = re.compile("All models are stopped, unloading models")


@dataclass(frozen=True)
class Endpoints:
    """Where Triton listens."""

    host: str
    http_port: int
    grpc_port: int
    metrics_port: int


@dataclass(frozen=True)
class TritonServer:
    """A tritonserver that can be run.

    Attributes:
        binary: its executable.
        environment: what it needs in addition to ours.
        arguments: what this build of it needs.
    """

    binary: str
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    def command(
        self,
        repository: Path,
        endpoints: Endpoints,
        memory_prefix: str,
        config_name: str | None,
        models: Sequence[str] = (),
    ) -> list[str]:
        """The command line.

        Args:
            repository: the models.
            endpoints: where to listen.
            memory_prefix: how names of its shared memory start.
            config_name: variant of the models' configuration; the usual one where empty.
            models: those to load; all where empty.
        """
        command = [
            self.binary,
            f"--model-repository={repository}",
            f"--http-address={endpoints.host}",
            f"--grpc-address={endpoints.host}",
            f"--metrics-address={endpoints.host}",
            f"--http-port={endpoints.http_port}",
            f"--grpc-port={endpoints.grpc_port}",
            f"--metrics-port={endpoints.metrics_port}",
            # Ours are complete; to find that out, Triton would start every model twice.
            "--disable-auto-complete-config",
            # Each model starts two processes, and Triton gives up one that says nothing for 5
            # seconds: no more start at once than there are cores.
            f"--model-load-thread-count={max(1, len(os.sched_getaffinity(0)) // 2)}",
            f"--backend-config=python,shm-region-prefix-name={memory_prefix}",
            *self.arguments,
        ]
        if config_name:
            command.append(f"--model-config-name={config_name}")
        if models:
            command.append("--model-control-mode=explicit")
            command += [f"--load-model={model}" for model in models]
        return command


def find(workspace: Path) -> TritonServer:
    """The tritonserver on the PATH, else the one in the wheel, assembled in `workspace`.

    Raises:
        LaunchError: there is none, or it cannot run here.
    """
    installed = shutil.which("tritonserver")
    if installed:
        return TritonServer(installed, arguments=_client_memory(installed))
    return _from_wheel(workspace)


def load_failure(log: Sequence[str]) -> str | None:
    """The sentence on the first model that could not be loaded, from tritonserver's log."""
    for line in log:
        if match := LOAD_FAILURE.search(line):
            return f"Triton could not load the model {match['model']}: {match['reason']}"
    return None


def devices(log: Sequence[str]) -> list[str]:
    """What the models said about where they score, from tritonserver's log."""
    return sorted({match["what"] for line in log if (match := SCORES_ON.search(line))})


def _client_memory(binary: str) -> tuple[str, ...]:
    """From 2.69 on, tritonserver refuses its clients' shared memory unless told otherwise."""
    help_text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=False)
    known = "--allow-client-shm" in help_text.stdout + help_text.stderr
    return ("--allow-client-shm=true",) if known else ()


def _from_wheel(workspace: Path) -> TritonServer:
    package = importlib.util.find_spec("pytriton")
    if package is None or not package.submodule_search_locations:
        raise LaunchError(
            "There is no tritonserver on the PATH and the package nvidia-pytriton is missing: "
            "pip install --no-deps nvidia-pytriton==0.7.0"
        )
    root = Path(package.submodule_search_locations[0])
    files = root / "tritonserver"
    stub = files / "python_backend_stubs" / _python_version() / "triton_python_backend_stub"
    if not stub.exists():
        raise LaunchError(f"nvidia-pytriton has no Python backend for Python {_python_version()}.")
    binary = _executable(files / "bin" / "tritonserver", workspace)
    backends = workspace / "backends"
    shutil.copytree(files / "backends", backends, ignore=shutil.ignore_patterns("__pycache__"))
    _executable(stub, backends / "python", copy=True)
    libraries = [root.parent / "nvidia_pytriton.libs", *_python_library_folder()]
    environment = {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        # The stub finds packages through the `python3` that comes first.
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
    }
    return TritonServer(str(binary), environment, (f"--backend-directory={backends}",))


def _executable(file: Path, folder: Path, *, copy: bool = False) -> Path:
    """The file itself if it can be executed where it lies, else a copy in `folder` that can."""
    if os.access(file, os.X_OK) and not copy:
        return file
    target = Path(shutil.copy(file, folder))
    target.chmod(0o755)
    return target


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _python_library_folder() -> list[Path]:
    """The folder of the shared libpython that the stub links, unless the loader finds it itself."""
    name = f"libpython{_python_version()}.so.1.0"
    folder = Path(sysconfig.get_config_var("LIBDIR") or "/")
    if (folder / name).exists():
        return [folder]
    if ctypes.util.find_library(f"python{_python_version()}"):
        return []
    raise LaunchError(
        f"The shared library {name} is missing: install it (Debian and Ubuntu: apt-get install "
        f"libpython{_python_version()}) or use a Python built with --enable-shared."
    )
