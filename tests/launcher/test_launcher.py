"""The launcher as its user meets it: one sentence if it cannot start, nothing left at the end."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from gateway.triton.shared_memory import DIRECTORY
from iqa.catalogue import METRICS
from iqa.simd.levels import level
from launcher.options import REPOSITORY
from launcher.triton_memory import LOCK, PREFIX
from perf.load import faults
from perf.ports import free_ports
from tests.conftest import (
    START_PATIENCE,
    RunningService,
    launch,
    running,
    start,
    stop,
)

pytestmark = pytest.mark.server

ONE_METRIC = "--metrics=brisque"  # where any will do: a quarter of the processes to start
# What such launchers leave behind no other one removes, and others may start and end at any time.
APART = "import launcher.triton_memory; launcher.triton_memory.PREFIX = 'iqa-apart-'"

# Put before a model: the process that loads it, a child of Triton's, lets Triton crash.
CRASH = """
import os, pathlib, signal
triton = os.getppid()  # of a process whose Triton has ended somebody else's
if pathlib.Path(f"/proc/{{triton}}/comm").read_text() == "tritonserver\\n":
    with open({path!r}, "a+") as file:
        file.seek(0)
        crashed = set(file.read().split()) | {{str(triton)}}
        if len(crashed) <= {crashes}:
            file.write(f"{{triton}} ")
            file.flush()
            os.kill(triton, signal.SIGABRT)
"""


def failure(service: RunningService) -> str:
    """What a launcher that cannot start says, which must be one line."""
    assert service.process.wait(60) == 1, service.log.read_text()
    lines = [line for line in service.log.read_text().splitlines() if line.startswith("iqa-serve:")]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("option", ["--port", "--triton-grpc-port"])
def test_a_taken_port_is_named(tmp_path: Path, option: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        message = failure(start(tmp_path / "log", f"{option}={port}"))
    assert f"Port {port} " in message
    assert option in message


def test_a_model_that_cannot_be_loaded_is_named_with_the_reason(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(REPOSITORY, repository, ignore=shutil.ignore_patterns("__pycache__"))
    model = repository / "ms_ssim" / "1" / "model.py"
    model.write_text("import there_is_no_such_module\n")
    options = ("--workers=1", "--metrics=ms_ssim", f"--model-repository={repository}")
    message = failure(start(tmp_path / "log", *options))
    assert "model ms_ssim" in message
    assert "there_is_no_such_module" in message


@pytest.mark.parametrize(("crashes", "comes_up"), [(2, True), (3, False)])
def test_a_triton_that_crashes_while_it_starts_is_started_again_twice(
    tmp_path: Path, crashes: int, comes_up: bool
) -> None:
    repository, times = tmp_path / "repository", tmp_path / "times"
    shutil.copytree(REPOSITORY, repository, ignore=shutil.ignore_patterns("__pycache__"))
    crash = CRASH.format(path=str(times), crashes=crashes)
    model = repository / "psnr" / "1" / "model.py"
    model.write_text(crash + model.read_text())
    options = ("--workers=1", "--metrics=psnr", f"--model-repository={repository}")
    service = start(tmp_path / "log", *options)
    log = service.log.read_text()
    if comes_up:
        assert "Ready at" in log
        assert stop(service) == 0
    else:
        assert service.process.wait(60) == 1
        assert "Triton ended at once" in log.splitlines()[-1]
    assert log.count("Triton ended (SIGABRT)") == 2
    assert faults.memory_of([service.process.pid]) == []


def test_a_variant_for_gpus_says_that_there_is_none(tmp_path: Path) -> None:
    options = ("--workers=1", ONE_METRIC, "--model-config-name=gpu")
    service = start(tmp_path / "log", *options, CUDA_VISIBLE_DEVICES="")
    assert failure(service).endswith("has kind KIND_GPU but no GPUs are available")


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    message = failure(start(tmp_path / "log", f"--model-repository={tmp_path}/none"))
    assert f"{tmp_path}/none" in message


def test_it_comes_back_from_kills_and_leaves_nothing_behind(tmp_path: Path) -> None:
    service = launch(tmp_path / "log", "--workers=2", ONE_METRIC)
    try:
        launcher = psutil.Process(service.process.pid)
        family = launcher.children(recursive=True)
        for name in ("uvicorn", "triton_python_backend_stub", "tritonserver"):
            living = launcher.children(recursive=True)
            victim = next(child for child in living if name in " ".join(child.cmdline()))
            regions = memory_of_triton(service)
            victim.kill()
            wait_for_recovery(service, victim)
            # A Triton that was killed left them behind, and the next one has its own.
            assert bool(regions & memory_of_triton(service)) is (name == "uvicorn")
            family += launcher.children(recursive=True)
        log = service.log.read_text()
        assert "Triton ended (SIGKILL)" in log
        assert "Triton lost a model's process" in log
        assert "gateway worker" in log
    finally:
        assert stop(service) == 0
    _, alive = psutil.wait_procs(family, timeout=20)  # until init has reaped those orphaned
    assert not alive
    assert faults.memory_of([service.process.pid, *(process.pid for process in family)]) == []


def memory_of_triton(service: RunningService) -> set[str]:
    """Names of what Triton and its models' processes share, besides the launcher's lock."""
    prefix = f"{PREFIX}{service.process.pid}-"
    return {path.name for path in DIRECTORY.glob(f"{prefix}*") if path.suffix != LOCK}


def test_stopping_does_not_wait_until_the_models_are_unloaded(tmp_path: Path) -> None:
    service = launch(tmp_path / "log", "--workers=1", "--log-level=debug")
    assert httpx.get(f"{service.url}/api/v1/iqa/").json()["cpu_level"] == level()
    assert stop(service) == 0
    log = service.log.read_text()
    assert log.index("Starting Triton") < log.index("Ready at") < log.index("Stopping")
    for metric in METRICS:
        assert f"{metric.name} scores on cpu, CPU kernels of level {level()}\n" in log
    assert "All models are stopped" in log  # no inference is left
    assert "successfully unloaded" not in log


def test_a_metric_that_is_not_named_is_neither_loaded_nor_offered(tmp_path: Path) -> None:
    service = launch(tmp_path / "log", "--workers=1", "--metrics=brisque")
    try:
        listed = httpx.get(f"{service.url}/api/v1/iqa/").json()["metrics"]
        assert [metric["id"] for metric in listed] == ["brisque"]
        assert httpx.get(f"http://{service.http}/v2/models/brisque/ready").status_code == 200
        assert httpx.get(f"http://{service.http}/v2/models/ms_ssim/ready").status_code != 200
        answer = httpx.post(f"{service.url}/api/v1/iqa/fr/ms-ssim/", files={"a": b"a"})
        assert answer.json()["code"] == "not_found"
    finally:
        assert stop(service) == 0


def test_whoever_may_come_from_outside_is_told_in_one_line(tmp_path: Path) -> None:
    nowhere = ("--workers=1", "--triton-url=127.0.0.1:9")
    for host, key, warnings in (("::", "", 1), ("::", "secret", 0), ("127.0.0.1", "", 0)):
        service = launch(tmp_path / "log", *nowhere, f"--host={host}", IQA_API_KEYS=key)
        address = service.url.replace("127.0.0.1", "[::1]") if host == "::" else service.url
        assert httpx.get(f"{address}/healthz").status_code == 200
        assert stop(service) == 0
        assert service.log.read_text().count("may use the service") == warnings


def test_ipv6_and_ipv4_at_once(service: RunningService, tmp_path: Path) -> None:
    picture = BytesIO()
    Image.effect_noise((64, 64), 50).save(picture, "PNG")
    (metrics,) = free_ports(1)
    options = (f"--triton-url={service.grpc}", "--host=::", f"--metrics-port={metrics}")
    with running(tmp_path / "log", "--workers=2", *options) as front:
        port = front.url.rpartition(":")[2]
        assert f"Ready at http://[::1]:{port} " in front.log.read_text()
        answers = []
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{port}/api/v1/iqa/nr/brisque/"
            answers.append(httpx.post(url, files={"image": picture.getvalue()}).json()["score"])
            counted = httpx.get(f"http://{host}:{metrics}/metrics").text
            assert "http_server_request_duration_seconds_count" in counted
        assert answers[0] == answers[1]


def test_metrics_have_a_port_that_asks_for_no_key(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    options = ("--workers=2", "--triton-url=127.0.0.1:9", f"--metrics-port={port}")
    service = launch(tmp_path / "log", *options, IQA_API_KEYS="secret")
    try:
        assert httpx.get(f"{service.url}/metrics").status_code == 401
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
        assert answer.status_code == 200
        assert "http_server_request_duration_seconds_count" in answer.text
    finally:
        assert stop(service) == 0


def test_gauges_of_a_dead_worker_are_gone(tmp_path: Path) -> None:
    """One that dies with a request in work leaves no image in flight."""
    picture = BytesIO()
    Image.effect_noise((64, 64), 50).save(picture, "PNG")
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as thread:
        triton = f"--triton-url=127.0.0.1:{silent.getsockname()[1]}"
        service = launch(tmp_path / "log", "--workers=1", triton, "--log-level=info")
        try:
            url, files = f"{service.url}/api/v1/iqa/nr/brisque/", {"image": picture.getvalue()}
            asked = thread.submit(httpx.post, url, files=files)
            while in_flight(service) != 1:
                assert not asked.done(), asked.result().text
                time.sleep(0.05)
            workers(service)[0].kill()
            wait_until_answering(service)
            assert in_flight(service) == 0
            assert isinstance(asked.exception(), httpx.TransportError)
        finally:
            assert stop(service) == 0


def workers(service: RunningService) -> list[psutil.Process]:
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if "uvicorn" in child.cmdline()]


def in_flight(service: RunningService) -> float:
    text = httpx.get(f"{service.url}/metrics").text
    values = re.findall(r"^iqa_images_in_flight (\S+)$", text, re.MULTILINE)
    return float(values[0]) if values else 0


def wait_until_answering(service: RunningService) -> None:
    end = time.monotonic() + START_PATIENCE
    while "restart in" not in service.log.read_text():
        time.sleep(0.05)
    while True:
        with suppress(httpx.TransportError):
            httpx.get(f"{service.url}/healthz")
            return
        assert time.monotonic() < end, service.log.read_text()
        time.sleep(0.05)


def test_in_json_every_line_is_an_object(tmp_path: Path) -> None:
    options = ("--workers=1", "--triton-url=127.0.0.1:9", "--log-format=json", "--log-level=info")
    service = launch(tmp_path / "log", *options, IQA_MAX_PIXEL="1")
    assert stop(service) == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    messages = [line["message"] for line in lines]
    assert "Stopping" in messages
    assert "Nothing reads the variable IQA_MAX_PIXEL: is IQA_MAX_PIXELS meant?" in messages


def test_a_model_that_dies_before_it_is_known_is_noticed(tmp_path: Path) -> None:
    """A model has two processes: the other one answers, so that the service seems to be well."""
    service = launch(tmp_path / "log", "--workers=1", ONE_METRIC)
    try:
        victim = faults.members(service.process.pid, "triton_python_backend_stub")[0]
        victim.kill()
        wait_for_recovery(service, victim)
        assert "Triton lost a model's process" in service.log.read_text()
    finally:
        assert stop(service) == 0


def wait_for_recovery(service: RunningService, victim: psutil.Process) -> None:
    """Until the dead process is replaced and every model answers; readiness tells the truth."""
    end = time.monotonic() + START_PATIENCE
    while victim.is_running():
        time.sleep(0.05)
    good = 0
    while good < 5:  # answers in a row, of different workers
        try:
            good = good + 1 if httpx.get(f"{service.url}/readyz").status_code == 200 else 0
        except httpx.TransportError:
            good = 0
        assert time.monotonic() < end, service.log.read_text()
        time.sleep(0.6)


def test_a_triton_elsewhere_serves_too(service: RunningService, tmp_path: Path) -> None:
    options = "--workers=1", f"--triton-url={service.grpc}"
    front = launch(tmp_path / "log", *options, IQA_TRANSPORT="grpc")
    try:
        time.sleep(1)
        assert front.process.poll() is None, front.log.read_text()
        assert httpx.get(f"{front.url}/readyz").json() == {"status": "ready"}
        assert len(workers(front)) == 1
        assert not faults.members(front.process.pid, "tritonserver")
        # Of a machine with which no memory is shared, nobody here knows the level.
        assert httpx.get(f"{front.url}/api/v1/iqa/").json()["cpu_level"] is None
    finally:
        assert stop(front) == 0


def test_of_a_killed_launcher_nothing_is_left(tmp_path: Path) -> None:
    """Not even model processes that hang, as some do when their Triton is killed."""
    service = launch(tmp_path / "log", "--workers=1", ONE_METRIC)
    family = psutil.Process(service.process.pid).children(recursive=True)
    pids = faults.family(service.process.pid)
    assert faults.memory_of(pids)
    faults.members(service.process.pid, "triton_python_backend_stub")[0].suspend()
    service.process.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert faults.memory_of(pids) == []


def test_what_even_the_janitor_could_not_remove_the_next_launcher_does(tmp_path: Path) -> None:
    service = launch(tmp_path / "log", "--workers=1", ONE_METRIC, prelude=APART)
    family = psutil.Process(service.process.pid).children(recursive=True)
    pids = faults.family(service.process.pid)
    faults.members(service.process.pid, "launcher.janitor")[0].kill()
    service.process.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=20)
    assert faults.memory_of(pids)
    following = launch(tmp_path / "following", "--workers=1", ONE_METRIC, prelude=APART)
    try:
        assert faults.memory_of(pids) == []
    finally:
        assert stop(following) == 0


def test_of_a_killed_triton_no_model_process_is_left(tmp_path: Path) -> None:
    """Whatever state it is in: one that is stopped cannot end itself."""
    service = launch(tmp_path / "log", "--workers=1", ONE_METRIC)
    try:
        models = faults.members(service.process.pid, "triton_python_backend_stub")
        models[0].suspend()
        faults.kill(service.process.pid, "tritonserver")
        _, alive = psutil.wait_procs(models, timeout=10)
        assert not alive
        wait_for_recovery(service, models[0])
        assert faults.memory_of([model.pid for model in models]) == []
    finally:
        assert stop(service) == 0
