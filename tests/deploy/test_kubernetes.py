"""The cluster manifests: built by kustomize, checked against the APIs' schemas."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Any

import kubernetes_validate
import pytest
import yaml

import iqa
from gateway.app import BYTES_PER_PIXEL, LARGEST_REQUEST
from gateway.settings import Settings
from launcher.options import Options
from tests.deploy.commands import DEPLOY, run
from tests.deploy.reach import End, may_reach

Manifest = dict[str, Any]

WHOLE = ["base", "overlays/cpu", "overlays/gpu", "overlays/example"]  # a pod is a whole service
APART = ["overlays/remote", "overlays/kserve"]  # gateways and Tritons in pods of their own
VARIANTS = [*WHOLE, *APART]
MONITORED = ["overlays/cpu", "overlays/gpu", "overlays/example"]
CUSTOM = {
    "ScaledObject": "cloudcoil.models.keda.v1alpha1",
    "ServiceMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1",
}
"""Where their classes are, which take seconds to import."""
NO_SCHEMA = {"InferenceService"}  # no package ships KServe's: its own test is below

OUTSIDE = End()
PROMETHEUS = End({"app.kubernetes.io/name": "prometheus"}, "monitoring")
NEIGHBOUR = End({"app.kubernetes.io/name": "other"}, "iqa")
DNS = [
    End({"k8s-app": "kube-dns"}, "kube-system", "10.96.0.10"),
    End(address="169.254.20.10"),  # NodeLocal DNSCache
]


@cache
def build(variant: str) -> list[Manifest]:
    return list(yaml.safe_load_all(run("kubectl", "kustomize", f"deploy/kubernetes/{variant}")))


def of_kind(variant: str, kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in build(variant) if each["kind"] == kind}


def pods(variant: str) -> dict[str, Manifest]:
    """The pods that Deployments and KServe start, by name: labels and specification."""
    found = {
        name: each["spec"]["template"] for name, each in of_kind(variant, "Deployment").items()
    }
    for each in of_kind(variant, "InferenceService").values():
        labels = {"serving.kserve.io/inferenceservice": each["metadata"]["name"]}
        found["triton"] = {"metadata": {"labels": labels}, "spec": each["spec"]["predictor"]}
    return found


def containers(variant: str) -> dict[str, Manifest]:
    """Of all pods, by what they run."""
    return {
        "triton" if "iqa-triton" in container["image"] else "gateway": container
        for pod in pods(variant).values()
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    }


def end(variant: str, pod: str) -> End:
    return End(pods(variant)[pod]["metadata"]["labels"], "iqa", "10.0.0.1")


def mebibytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_fit_the_schemas(variant: str) -> None:
    for manifest in build(variant):
        kind = manifest["kind"]
        if kind in CUSTOM:
            read = getattr(import_module(CUSTOM[kind]), kind).model_validate(manifest)
            # A field that the schema lacks would be missing here.
            assert read.model_dump(by_alias=True, exclude_unset=True, mode="json") == manifest
        elif kind not in NO_SCHEMA:
            kubernetes_validate.validate(manifest, "1.37", strict=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_pods_are_confined(variant: str) -> None:
    (namespace,) = of_kind(variant, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods(variant).values():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
    for container in containers(variant).values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert container["image"].endswith((f":{iqa.__version__}", f":{iqa.__version__}-cpu"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_probes_tell_alive_from_ready(variant: str) -> None:
    """A gateway whose Triton is away is not ready, but must not be killed for that."""
    gateway, triton = containers(variant)["gateway"], containers(variant)["triton"]
    assert gateway["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert gateway["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert triton["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert triton["startupProbe"]["httpGet"]["path"] == "/v2/health/ready"


@pytest.mark.parametrize("variant", WHOLE)
def test_a_pod_is_a_whole_service(variant: str) -> None:
    (pod,) = pods(variant).values()
    gateway, triton = containers(variant)["gateway"], containers(variant)["triton"]
    mounts = [
        {mount["mountPath"]: mount["name"] for mount in each["volumeMounts"]}
        for each in (gateway, triton)
    ]
    assert mounts[0]["/dev/shm"] == mounts[1]["/dev/shm"]  # noqa: S108  (a path in a container)
    assert mounts[0]["/tmp"] != mounts[1]["/tmp"]  # noqa: S108
    assert "--allow-client-shm=true" in triton["args"]
    environment = {entry["name"]: entry["value"] for entry in gateway["env"]}
    assert environment["IQA_TRITON_URL"] == "127.0.0.1:8101"
    assert f">{environment['IQA_TRITON_KEY_FILE']})" in (DEPLOY / "iqa-triton").read_text()
    # A sidecar starts before the others and ends after them.
    assert pod["spec"]["initContainers"] == [triton]
    assert triton["restartPolicy"] == "Always"
    (service,) = (each for name, each in of_kind(variant, "Service").items() if name == "iqa")
    assert [port["targetPort"] for port in service["spec"]["ports"]] == [8000]


@pytest.mark.parametrize("variant", VARIANTS)
def test_shared_memory_holds_what_its_users_may_put_there(variant: str) -> None:
    settings = Settings()
    largest = settings.max_pixels * BYTES_PER_PIXEL * LARGEST_REQUEST >> 20
    for name, pod in pods(variant).items():
        sizes = {
            volume["name"]: mebibytes(volume["emptyDir"]["sizeLimit"])
            for volume in pod["spec"]["volumes"]
        }
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            shared = [
                sizes[mount["name"]]
                for mount in container["volumeMounts"]
                if mount["mountPath"] == "/dev/shm"  # noqa: S108
            ]
            if variant in APART and name == "gateway":
                assert shared == []
            else:
                workers = int(environment(variant).get("IQA_WORKERS", 1))
                # The slots, Triton's copy of them, and inline pixels for the Python backend.
                assert shared[0] >= workers * (2 * settings.shm_megabytes + largest)


def environment(variant: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in containers(variant)["gateway"]["env"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_pod_has_time_to_leave_and_to_answer(variant: str) -> None:
    drain = Options().drain_seconds
    for name, pod in pods(variant).items():
        (container,) = pod["spec"]["containers"]
        leaving = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["spec"]["terminationGracePeriodSeconds"] > leaving + drain + 5
        if name == "triton":
            script = (DEPLOY / "iqa-triton").read_text()
            assert f"--exit-timeout-secs={drain}" in script
            age = int(script.split("--grpc-max-connection-age=")[1].split()[0]) / 1000
            assert leaving > age + 5  # seconds that a cluster's DNS keeps an answer


@pytest.mark.parametrize("variant", VARIANTS)
def test_services_budgets_and_scalers_select_pods_that_exist(variant: str) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(variant).items()}
    for service in of_kind(variant, "Service").values():
        assert any(service["spec"]["selector"].items() <= each.items() for each in labels.values())
    budgets = of_kind(variant, "PodDisruptionBudget")
    assert set(budgets) == set(labels)
    for name, budget in budgets.items():
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
    scalers = of_kind(variant, "HorizontalPodAutoscaler") | of_kind(variant, "ScaledObject")
    deployments = of_kind(variant, "Deployment")
    for scaler in scalers.values():
        target = deployments[scaler["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]  # they are the autoscaler's


@pytest.mark.parametrize("variant", WHOLE)
def test_of_a_whole_service_only_the_gateway_is_reachable(variant: str) -> None:
    manifests, pod = build(variant), end(variant, "iqa")
    for somebody in (OUTSIDE, NEIGHBOUR, PROMETHEUS, pod):
        assert may_reach(manifests, somebody, pod, 8000) is (somebody not in (NEIGHBOUR, pod))
        assert not may_reach(manifests, somebody, pod, 8100)
        assert not may_reach(manifests, somebody, pod, 8101)
        for port in (8102, 8103):
            assert may_reach(manifests, somebody, pod, port) is (somebody == PROMETHEUS)
    for target in (OUTSIDE, NEIGHBOUR, PROMETHEUS, *DNS):
        for port in (53, 80, 443, 8101):
            assert not may_reach(manifests, pod, target, port)


@pytest.mark.parametrize("variant", APART)
def test_of_pods_apart_only_gateways_reach_tritons(variant: str) -> None:
    manifests = build(variant)
    gateway, triton = end(variant, "gateway"), end(variant, "triton")
    for somebody in (OUTSIDE, NEIGHBOUR, PROMETHEUS, gateway):
        assert may_reach(manifests, somebody, gateway, 8000) is (somebody in (OUTSIDE, PROMETHEUS))
        assert may_reach(manifests, somebody, gateway, 8103) is (somebody == PROMETHEUS)
        assert not may_reach(manifests, somebody, triton, 8100)
        assert may_reach(manifests, somebody, triton, 8101) is (somebody == gateway)
        assert may_reach(manifests, somebody, triton, 8102) is (somebody == PROMETHEUS)
    for server in DNS:
        for protocol in ("UDP", "TCP"):
            assert may_reach(manifests, gateway, server, 53, protocol)
        assert not may_reach(manifests, gateway, server, 443)
        assert not may_reach(manifests, triton, server, 53)
    for port in (53, 80, 443, 8101):
        assert not may_reach(manifests, gateway, OUTSIDE, port)
        assert not may_reach(manifests, triton, OUTSIDE, port)


@pytest.mark.parametrize("variant", APART)
def test_gateways_apart_balance_over_a_headless_service(variant: str) -> None:
    service = of_kind(variant, "Service")["triton"]["spec"]
    assert service["clusterIP"] == "None"
    assert environment(variant)["IQA_TRITON_URL"] == "dns:///triton:8101"
    assert 8101 in [port["port"] for port in service["ports"]]
    assert "--allow-client-shm" not in yaml.safe_dump(containers(variant)["triton"])


@pytest.mark.parametrize("variant", MONITORED)
def test_prometheus_finds_both_halves_of_a_pod(variant: str) -> None:
    monitor = of_kind(variant, "ServiceMonitor")["iqa"]
    services = [
        service["spec"]
        for service in of_kind(variant, "Service").values()
        if monitor["spec"]["selector"]["matchLabels"].items()
        <= service["metadata"]["labels"].items()
    ]
    (service,) = services
    ports = {port["name"]: port["targetPort"] for port in service["ports"]}
    scraped = {
        endpoint["relabelings"][0]["replacement"]: ports[endpoint["port"]]
        for endpoint in monitor["spec"]["endpoints"]
    }
    assert scraped == {"gateway": 8103, "triton": 8102}
    # What kube-prometheus-stack selects by, unless told otherwise.
    for kind in ("ServiceMonitor", "PrometheusRule"):
        labels = of_kind(variant, kind)["iqa"]["metadata"]["labels"]
        assert labels["release"] == "kube-prometheus-stack"


def test_on_gpus_a_pod_has_one_and_queue_time_scales() -> None:
    triton = containers("overlays/gpu")["triton"]
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert triton["image"].endswith(f":{iqa.__version__}")
    scaled = of_kind("overlays/gpu", "ScaledObject")["iqa"]["spec"]
    assert "nv_inference_queue_duration_us" in scaled["triggers"][0]["metadata"]["query"]
    assert of_kind("overlays/gpu", "HorizontalPodAutoscaler") == {}  # two would pull at the number


@pytest.mark.parametrize("variant", [*APART, "base", "overlays/cpu", "overlays/example"])
def test_without_gpus_nothing_asks_for_one(variant: str) -> None:
    assert "nvidia.com/gpu" not in yaml.safe_dump_all(build(variant))
    assert containers(variant)["triton"]["image"].endswith("-cpu")


def test_the_example_has_tls_and_keys() -> None:
    (ingress,) = of_kind("overlays/example", "Ingress").values()
    hosts = [rule["host"] for rule in ingress["spec"]["rules"]]
    assert ingress["spec"]["tls"][0]["hosts"] == hosts
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    service = of_kind("overlays/example", "Service")[path["backend"]["service"]["name"]]
    names = [port["name"] for port in service["spec"]["ports"]]
    assert path["backend"]["service"]["port"]["name"] in names
    gateway = containers("overlays/example")["gateway"]
    assert gateway["envFrom"] == [{"secretRef": {"name": "iqa-api-keys"}}]
    assert of_kind("overlays/example", "Secret") == {}  # a key that is published is none


def test_kserve_starts_what_would_run_without_it() -> None:
    ours, kserves = (pods(variant)["triton"]["spec"] for variant in APART)
    assert kserves["volumes"] == ours["volumes"]
    assert kserves["securityContext"] == ours["securityContext"]
    (our,), (kserve,) = ours["containers"], kserves["containers"]
    assert kserve["name"] == "kserve-container"
    for field in ("image", "resources", "volumeMounts", "lifecycle", "securityContext"):
        assert kserve[field] == our[field]
    assert set(of_kind("overlays/kserve", "Deployment")) == {"gateway"}
