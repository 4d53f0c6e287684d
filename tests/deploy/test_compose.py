"""The compose files, as Docker Compose itself reads them, and the images' recipes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import iqa
from gateway.app import BYTES_PER_PIXEL, LARGEST_REQUEST
from gateway.settings import Settings
from gateway.triton import key as triton_key
from launcher.options import parse, unknown_variables
from tests.deploy.commands import DEPLOY, ROOT, run

CPU = "deploy/compose.cpu.yml"
SCALE = "deploy/compose.scale.yml"
KEY_FILE = "/dev/shm/iqa-triton-key"  # noqa: S108  (a path in a container)
VARIANTS = [(), (CPU,), (SCALE,), (SCALE, CPU)]


def compose(*overrides: str) -> dict[str, Any]:
    files = chain.from_iterable(("-f", file) for file in ("docker-compose.yml", *overrides))
    config: dict[str, Any] = json.loads(run("docker-compose", *files, "config", "--format", "json"))
    return config


@pytest.mark.parametrize("overrides", VARIANTS)
def test_only_the_gateway_is_reachable_from_outside(overrides: tuple[str, ...]) -> None:
    config = compose(*overrides)
    published = {
        (name, port.get("host_ip"), port["published"], port["target"])
        for name, service in config["services"].items()
        for port in service.get("ports", [])
    }
    assert published == {("gateway", None, "8000", 8000), ("grafana", "127.0.0.1", "3000", 3000)}
    assert config["networks"]["backend"]["internal"]
    assert set(config["services"]["triton"]["networks"]) == {"backend"}
    assert set(config["services"]["prometheus"]["networks"]) == {"backend"}


@pytest.mark.parametrize("overrides", VARIANTS)
def test_every_service_is_confined_watched_and_restarted(overrides: tuple[str, ...]) -> None:
    for name, service in compose(*overrides)["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert set(service["deploy"]["resources"]["limits"]) >= {"memory", "pids"}, name
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name


def test_triton_may_load_the_libraries_that_it_compiles() -> None:
    (temporary,) = compose()["services"]["triton"]["tmpfs"]
    assert "exec" in temporary.partition(":")[2].split(",")
    recipe = (DEPLOY / "triton.Dockerfile").read_text()
    assert re.search(r"apt-get install .*\bgcc\b.*\blibpython3-dev\b", recipe)


def test_a_gpu_is_asked_for_unless_the_override_says_cpu() -> None:
    def devices(*overrides: str) -> list[dict[str, Any]]:
        resources = compose(*overrides)["services"]["triton"]["deploy"]["resources"]
        reserved: list[dict[str, Any]] = resources["reservations"].get("devices", [])
        return reserved

    assert devices() == [{"capabilities": ["gpu"], "driver": "nvidia", "count": 1}]
    assert devices(CPU) == []
    assert [device["count"] for device in devices(SCALE)] == [-1]
    assert devices(SCALE, CPU) == []


def test_gateway_and_triton_share_memory_that_is_large_enough() -> None:
    config = compose()
    for name in ("gateway", "triton"):
        mounts = {volume["target"]: volume for volume in config["services"][name]["volumes"]}
        assert mounts["/dev/shm"]["source"] == "pixels"  # noqa: S108  (a path in a container)
    assert "--allow-client-shm=true" in config["services"]["triton"]["command"]
    environment = config["services"]["gateway"]["environment"]
    assert environment["IQA_TRITON_KEY_FILE"] == KEY_FILE

    options = dict(
        option.split("=") for option in config["volumes"]["pixels"]["driver_opts"]["o"].split(",")
    )
    settings = Settings()
    workers = int(config["services"]["gateway"]["environment"]["IQA_WORKERS"])
    slots = settings.shm_megabytes << 20
    inline = settings.max_pixels * BYTES_PER_PIXEL * LARGEST_REQUEST
    # The slots, and what Triton copies of them and of inline pixels for the Python backend.
    assert int(options["size"].removesuffix("g")) << 30 >= workers * (slots + slots + inline)
    assert (options["uid"], options["gid"], options["mode"]) == ("1000", "1000", "0700")


@pytest.mark.parametrize("overrides", [(SCALE,), (SCALE, CPU)])
def test_several_tritons_share_no_memory(overrides: tuple[str, ...]) -> None:
    services = compose(*overrides)["services"]
    assert services["triton"]["deploy"]["replicas"] == 2
    assert services["gateway"]["environment"]["IQA_TRITON_URL"] == "dns:///triton:8101"
    for name in ("gateway", "triton"):
        assert not services[name].get("volumes")
    assert services["triton"]["command"] == ["iqa-triton"]


def test_dockerfiles_pass_the_linter() -> None:
    run("hadolint", *map(str, sorted(DEPLOY.glob("*.Dockerfile"))))


def test_images_run_without_privileges_and_are_made_of_what_the_context_has() -> None:
    allowed = {
        line.removeprefix("!").strip()
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    project = (ROOT / "pyproject.toml").read_text()
    packages = re.findall(r"^packages = (\[.*])$", project, re.MULTILINE)[0]  # of the wheel
    needed = {"pyproject.toml", "README.md", *json.loads(packages)}
    for dockerfile in DEPLOY.glob("*.Dockerfile"):
        lines = dockerfile.read_text().splitlines()
        assert [line for line in lines if line.startswith("USER")] == ["USER 1000:1000"]
        needed |= {
            word
            for line in lines
            if line.startswith("COPY") and "--from" not in line
            for word in line.split()[1:-1]
            if not word.startswith("--")
        }
    assert needed == allowed
    assert [path for path in needed if not (ROOT / path).exists()] == []


def image_environment() -> dict[str, str]:
    """The settings in the gateway's image."""
    return dict(re.findall(r"\b(IQA_\w+)=(\S+)", (DEPLOY / "gateway.Dockerfile").read_text()))


@pytest.mark.parametrize("overrides", VARIANTS)
def test_the_gateways_container_is_the_launcher_with_settings_that_it_knows(
    overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'CMD ["iqa-serve"]' in (DEPLOY / "gateway.Dockerfile").read_text().splitlines()
    settings = image_environment() | compose(*overrides)["services"]["gateway"]["environment"]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert unknown_variables() == []
    options = parse([])
    assert (options.host, options.port) == ("0.0.0.0", 8000)  # noqa: S104  (in a container)
    assert options.triton_url  # none is started
    assert options.log_format == "json"
    assert options.metrics_port == 8103  # scraped without a key, and not published


def test_all_parts_are_of_one_version() -> None:
    for overrides in VARIANTS:
        for name in ("gateway", "triton"):
            tag = compose(*overrides)["services"][name]["image"].partition(":")[2]
            assert tag.removesuffix("-cpu") == iqa.__version__


def test_the_start_script_parses_and_keeps_to_the_ports_of_the_contract() -> None:
    script = DEPLOY / "iqa-triton"
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True)
    for option, port in (("http", 8100), ("grpc", 8101), ("metrics", 8102)):
        assert f"--{option}-port={port}" in script.read_text()


def starts(folder: Path, *arguments: str, **variables: str) -> list[str]:
    """What a stand-in for tritonserver prints, started by the script in a container of its own."""
    server = folder / "tritonserver"
    server.write_text(f'#!/bin/sh\nstat -c %a {KEY_FILE}\ncat {KEY_FILE}\nprintf "\\n%s" "$@"\n')
    server.chmod(0o755)
    mount = "mount -t tmpfs tmpfs /dev/shm"
    container = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run([*container, mount], check=False).returncode:
        pytest.skip("needs the right to mount a file system in a namespace of its own")
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    start = f"{mount}; exec {DEPLOY / 'iqa-triton'} {' '.join(arguments)}"
    done = subprocess.run(
        [*container, start],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_who_shares_tritons_memory_has_the_key_to_it(tmp_path: Path) -> None:
    mode, key, *options = starts(tmp_path, "--more")
    _, another_key, *_ = starts(tmp_path, "--more")
    assert mode == "600"
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert key != another_key
    assert set(options) >= {*triton_key.options(key), "--more"}


def test_triton_loads_the_metrics_that_are_named(tmp_path: Path) -> None:
    explicit = "--model-control-mode=explicit"
    assert explicit not in starts(tmp_path)
    options = starts(tmp_path, IQA_METRICS="brisque,ms_ssim")
    assert {explicit, "--load-model=brisque", "--load-model=ms_ssim"} <= set(options)
