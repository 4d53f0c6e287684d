"""The cluster manifests: built by kustomize, checked against the APIs' schemas."""

from __future__ import annotations

from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor

from tests.deploy.commands import DEPLOY, run

Manifest = dict[str, Any]

VARIANTS = ["base", "overlays/gpu", "overlays/kserve"]
CUSTOM = {
    "ScaledObject": ScaledObject,
    "ServiceMonitor": ServiceMonitor,
    "PrometheusRule": PrometheusRule,
}
NO_SCHEMA = {"InferenceService"}  # no package ships KServe's: its own test is below


@cache
def build(variant: str) -> list[Manifest]:
    return list(yaml.safe_load_all(run("kubectl", "kustomize", f"deploy/kubernetes/{variant}")))


def find(variant: str, kind: str, name: str) -> Manifest:
    (found,) = [
        manifest
        for manifest in build(variant)
        if manifest["kind"] == kind and manifest["metadata"]["name"] == name
    ]
    return found


def pod(variant: str, name: str) -> Manifest:
    """The pod that a Deployment, or KServe, starts."""
    if (variant, name) == ("overlays/kserve", "triton"):
        spec: Manifest = find(variant, "InferenceService", "iqa")["spec"]["predictor"]
    else:
        spec = find(variant, "Deployment", name)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_fit_the_schemas(variant: str) -> None:
    for manifest in build(variant):
        kind = manifest["kind"]
        if kind in CUSTOM:
            read = CUSTOM[kind].model_validate(manifest)
            # A field that the schema lacks would be missing here.
            assert read.model_dump(by_alias=True, exclude_unset=True, mode="json") == manifest
        elif kind not in NO_SCHEMA:
            kubernetes_validate.validate(manifest, "1.37", strict=True)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["gateway", "triton"])
def test_pods_are_confined(variant: str, name: str) -> None:
    spec = pod(variant, name)
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "httpGet" in container[probe]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["gateway", "triton"])
def test_a_pod_has_time_to_leave_and_to_answer(variant: str, name: str) -> None:
    spec = pod(variant, name)
    leaving = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = 30  # --exit-timeout-secs of Triton, --timeout-graceful-shutdown of uvicorn
    assert spec["terminationGracePeriodSeconds"] > leaving + drain
    if name == "triton":
        script = (DEPLOY / "iqa-triton").read_text()
        age = int(script.split("--grpc-max-connection-age=")[1].split()[0]) / 1000
        assert leaving > age + 5  # seconds that a cluster's DNS keeps an answer


@pytest.mark.parametrize("variant", VARIANTS)
def test_services_budgets_and_policies_select_the_pods_that_exist(variant: str) -> None:
    labels = {
        "gateway": {"app.kubernetes.io/name": "gateway"},
        "triton": {"serving.kserve.io/inferenceservice": "iqa"}
        if variant == "overlays/kserve"
        else {"app.kubernetes.io/name": "triton"},
    }
    for name, expected in labels.items():
        assert find(variant, "Service", name)["spec"]["selector"] == expected
        budget = find(variant, "PodDisruptionBudget", name)
        assert budget["spec"]["selector"]["matchLabels"] == expected
        policy = find(variant, "NetworkPolicy", name)
        assert policy["spec"]["podSelector"]["matchLabels"] == expected
    to_triton = find(variant, "NetworkPolicy", "gateway")["spec"]["egress"][0]
    assert to_triton["to"] == [{"podSelector": {"matchLabels": labels["triton"]}}]


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_gateway_and_prometheus_reach_triton(variant: str) -> None:
    assert find(variant, "NetworkPolicy", "default-deny")["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    calls, scrapes = find(variant, "NetworkPolicy", "triton")["spec"]["ingress"]
    gateway = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}
    assert calls == {"from": [gateway], "ports": [{"port": 8101}]}
    assert scrapes["ports"] == [{"port": 8102}]
    assert "--allow-client-shm" not in yaml.safe_dump(pod(variant, "triton"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_gateway_balances_over_a_headless_service(variant: str) -> None:
    service = find(variant, "Service", "triton")["spec"]
    assert service["clusterIP"] == "None"
    environment = {
        entry["name"]: entry["value"] for entry in pod(variant, "gateway")["containers"][0]["env"]
    }
    assert environment["IQA_TRITON_URL"] == "dns:///triton:8101"
    assert 8101 in [port["port"] for port in service["ports"]]


def test_tritons_on_gpus_are_scaled_by_queue_time() -> None:
    (container,) = pod("overlays/gpu", "triton")["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    deployment = find("overlays/gpu", "Deployment", "triton")
    assert "replicas" not in deployment["spec"]  # they are the autoscaler's
    scaled = find("overlays/gpu", "ScaledObject", "triton")["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "nv_inference_queue_duration_us" in scaled["triggers"][0]["metadata"]["query"]


def test_kserve_starts_what_the_base_would() -> None:
    ours, kserves = pod("base", "triton"), pod("overlays/kserve", "triton")
    assert kserves["volumes"] == ours["volumes"]
    assert kserves["securityContext"] == ours["securityContext"]
    (our,), (kserve,) = ours["containers"], kserves["containers"]
    assert kserve["name"] == "kserve-container"
    for field in ("image", "resources", "volumeMounts", "lifecycle", "securityContext"):
        assert kserve[field] == our[field]
    kinds = [manifest["kind"] for manifest in build("overlays/kserve")]
    assert kinds.count("Deployment") == 1  # the gateway's
