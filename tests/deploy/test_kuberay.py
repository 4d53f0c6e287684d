"""The job for KubeRay in the guide to many pictures: its pods, and what it runs."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

from bulk.main import parser
from tests.deploy.commands import ROOT

GUIDE = (ROOT / "docs" / "bulk.md").read_text()


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (job,) = [each for each in map(yaml.safe_load, blocks) if each.get("kind") == "RayJob"]
    return job


def test_its_pods_fit_the_schema(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert len(groups) == 2
    for group in groups:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **group["template"]}
        kubernetes_validate.validate(pod, "1.37", strict=True)


def test_it_runs_the_command_on_one_version_of_ray(job: dict[str, Any]) -> None:
    program, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "iqa-score"
    options = parser().parse_args(arguments)
    assert (options.ray, options.resume) == ("auto", True)
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"FROM rayproject/ray:{version}-py" in GUIDE
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    (needed,) = [each for each in map(Requirement, extras["ray"]) if each.name == "ray"]
    assert version in needed.specifier
