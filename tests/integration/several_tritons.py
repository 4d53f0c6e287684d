"""Real tritonservers with a stand-in model, one gateway in front of them, and load on it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from iqa.catalogue import metric
from tests.deploy.commands import ROOT
from tests.turn import turn_to_start

SITE = Path(sysconfig.get_path("purelib"))
WHEEL = SITE / "pytriton/tritonserver"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
DRAIN = 40  # seconds until a process that was asked to stop is killed

# Scores are sums of the pixels sent, so that each request has an answer of its own that is known
# exactly. They take long enough that a Triton that is killed always has some in work.
MODEL = """
import time

import numpy as np
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.02)
        return [self.score(request) for request in requests]

    def score(self, request):
        pixels = [np.from_dlpack(tensor) for tensor in request.inputs()]
        total = sum(int(array.sum(dtype=np.int64)) for array in pixels) % 65521
        score = np.full((len(pixels[0]), 1), total, np.float32)
        return pb.InferenceResponse([pb.Tensor.from_dlpack("SCORE", score)])
"""
CONFIG = """
backend: "python"
max_batch_size: 64
input [ {inputs} ]
output [ {{ name: "SCORE" data_type: TYPE_FP32 dims: [ 1 ] }} ]
dynamic_batching {{
  priority_levels: 2 default_priority_level: 2
  default_queue_policy {{ allow_timeout_override: true max_queue_size: 512 }}
}}
instance_group [ {{ kind: KIND_CPU }} ]
"""
INPUT = '{{ name: "{}" data_type: TYPE_UINT8 dims: [ -1, -1, -1 ] allow_ragged_batch: true }}'


def write_repository(folder: Path) -> None:
    """A stand-in with the name and the tensors of the service's BRISQUE."""
    version = folder / "brisque" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(MODEL)
    declared = ", ".join(map(INPUT.format, metric("brisque").inputs))
    (version.parent / "config.pbtxt").write_text(CONFIG.format(inputs=declared))


def write_backend(folder: Path) -> None:
    """The Python backend with the stub of the running Python beside it."""
    python = folder / "python"
    python.mkdir(parents=True)
    for file in (WHEEL / "backends/python").glob("*.*"):
        (python / file.name).symlink_to(file)
    stub = python / "triton_python_backend_stub"
    stub.write_bytes((WHEEL / f"python_backend_stubs/{PYTHON}" / stub.name).read_bytes())
    stub.chmod(0o755)


@dataclass
class Triton:
    """A tritonserver with its three ports from `port` on, at a loopback address of its own."""

    folder: Path
    port: int
    host: str = "127.0.0.1"
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def address(self) -> str:
        """Of gRPC."""
        return f"{self.host}:{self.port + 1}"

    @property
    def _regions(self) -> str:
        """How the names of the shared memory between it and its stubs begin."""
        return f"iqa-test-{self.host}-{self.port}-"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        bin_folder = sysconfig.get_path("scripts")
        server = WHEEL / "bin/tritonserver"
        server.chmod(0o755)
        arguments = [
            f"--model-repository={self.folder / 'models'}",
            f"--backend-directory={self.folder / 'backends'}",
            *(f"--{kind}-address={self.host}" for kind in ("http", "grpc", "metrics")),
            f"--http-port={self.port}",
            f"--grpc-port={self.port + 1}",
            f"--metrics-port={self.port + 2}",
            "--grpc-http2-max-ping-strikes=0",
            f"--backend-config=python,shm-region-prefix-name={self._regions}",
            *self.options,
        ]
        environment = os.environ | {
            "LD_LIBRARY_PATH": str(SITE / "nvidia_pytriton.libs"),
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
        }
        path = self.folder / f"{self.host}-{self.port}.log"
        with turn_to_start(), path.open("ab") as log:
            self.process = subprocess.Popen(
                [server, *arguments],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            wait_until_ok(f"http://{self.host}:{self.port}/v2/health/ready", self.process)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal that ends it, and wait for the end."""
        end(self.process, number)
        # A server that was killed may leave stubs and their memory behind.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for region in Path("/dev/shm").glob(f"{self._regions}*"):  # noqa: S108
            region.unlink()

    def served(self) -> int:
        """BRISQUE requests that it answered since its start."""
        text = httpx.get(f"http://{self.host}:{self.port + 2}/metrics").text
        line = r'^nv_inference_request_success\{model="brisque".*\} (\d+)$'
        return sum(map(int, re.findall(line, text, re.MULTILINE)))


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a process, and kill it where that does not end it."""
    process.send_signal(number)
    try:
        process.wait(DRAIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ok(url: str, process: subprocess.Popen[bytes]) -> None:
    """Ask a server until it answers 200."""
    end_of_patience = time.monotonic() + 60
    while time.monotonic() < end_of_patience:
        assert process.poll() is None, f"ended with {process.returncode}"
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer 200: see {process.args!r} and its log")


@contextmanager
def gateway(triton_url: str, port: int, log: Path) -> Iterator[str]:
    """The gateway as its container starts it, in front of `triton_url`; its own URL."""
    environment = os.environ | {
        "IQA_TRITON_URL": triton_url,
        "IQA_METRICS": "brisque",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "gateway.app:create_app"]
    command += ["--port", str(port), "--http", "gateway.http.protocol:BoundedProtocol"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ok(f"{url}/readyz", process)
        yield url
    finally:
        end(process, signal.SIGTERM)


@dataclass
class Load:
    """Clients that send one picture after the other, and what they were answered."""

    url: str
    clients: int = 6
    # Larger than what gRPC would by default keep for a further attempt (256 KiB).
    size: tuple[int, int] = (480, 640)  # width and height
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    _running: bool = True

    async def __aenter__(self) -> Load:
        """Start the clients."""
        self._tasks = [asyncio.create_task(self._send(seed)) for seed in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let each client end with the answer that it waits for."""
        self._running = False
        await asyncio.gather(*self._tasks)

    async def more(self, answers: int) -> None:
        """Wait until so many more requests were answered."""
        wanted = self.answered + answers
        while self.answered < wanted:
            await asyncio.sleep(0.01)

    async def _send(self, seed: int) -> None:
        shape = (*self.size[::-1], 3)
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        picture, file = Image.fromarray(pixels), BytesIO()
        picture.save(file, "BMP")
        expected = float(np.asarray(picture.convert("L")).sum(dtype=np.int64) % 65521)
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            while self._running:
                answer = await client.post(
                    "/api/v1/iqa/nr/brisque/", files={"image": file.getvalue()}
                )
                if answer.status_code != 200 or answer.json() != {"score": expected}:
                    self.failures.append(f"{answer.status_code} {answer.text}")
                self.answered += 1
