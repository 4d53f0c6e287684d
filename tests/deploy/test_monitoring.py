"""Prometheus' configuration and rules, Grafana's dashboard: valid, and of metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY

import gateway.observability.metrics  # noqa: F401  (registers the gateway's metrics)
from tests.deploy.commands import DEPLOY, ROOT
from tests.deploy.triton_metrics import GPU_METRICS, TRITON_METRICS

OF_PROMETHEUS = {"up"}
GRAFANA_INTERVAL = "$__rate_interval"


def load(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/iqa.json").read_text())
RULES = [rule for group in load("prometheus/alerts.yml")["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for rule in RULES:
        yield rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"].replace(GRAFANA_INTERVAL, "1m")
    scaled = load("kubernetes/components/keda/scaled-object.yaml")
    yield scaled["spec"]["triggers"][0]["metadata"]["query"]


def metrics(node: Any) -> set[str]:
    """Names of the metrics that a parsed expression selects."""
    if isinstance(node, promql_parser.VectorSelector):
        return {node.name}
    if isinstance(node, promql_parser.MatrixSelector):
        return metrics(node.vector_selector)
    if isinstance(node, promql_parser.BinaryExpr):
        return metrics(node.lhs) | metrics(node.rhs)
    if isinstance(node, promql_parser.Call):
        return set[str]().union(*map(metrics, node.args))
    if isinstance(node, (promql_parser.AggregateExpr, promql_parser.ParenExpr)):
        return metrics(node.expr)
    assert isinstance(node, (promql_parser.NumberLiteral, promql_parser.StringLiteral)), node
    return set()


def exported_by_the_gateway() -> set[str]:
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
    return {
        family.name + suffix
        for family in REGISTRY.collect()
        for suffix in suffixes.get(family.type, ("",))
    }


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_expressions_are_promql_of_metrics_that_are_exported(expression: str) -> None:
    selected = metrics(promql_parser.parse(expression))
    assert selected
    known = exported_by_the_gateway() | TRITON_METRICS | GPU_METRICS | OF_PROMETHEUS
    assert selected <= known


def test_rules_say_what_is_wrong_and_how_bad_it_is() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[sm]", rule["for"])
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_cluster_has_the_same_rules() -> None:
    cluster = load("kubernetes/components/prometheus-operator/alerts.yaml")
    assert cluster["spec"]["groups"] == load("prometheus/alerts.yml")["groups"]


def test_prometheus_scrapes_the_services_on_their_ports() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    scraped = {}
    for job in load("prometheus/prometheus.yml")["scrape_configs"]:
        (discovery,) = job["dns_sd_configs"]
        scraped[job["job_name"]] = (discovery["names"], discovery["port"])
    assert scraped == {"gateway": (["gateway"], 8103), "triton": (["triton"], 8102)}
    assert set(scraped) <= set(services)


def test_the_dashboard_reads_the_provisioned_data_source() -> None:
    (source,) = load("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    expected = {"type": source["type"], "uid": source["uid"]}
    for panel in PANELS:
        assert panel["datasource"] == expected
        assert [target["datasource"] for target in panel["targets"]] == [expected] * len(
            panel["targets"]
        )


def test_the_dashboard_is_where_grafana_looks_and_its_panels_do_not_overlap() -> None:
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    (provider,) = load("grafana/provisioning/dashboards/iqa.yml")["providers"]
    folder = provider["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/iqa.json"

    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24  # columns that Grafana has


def test_the_dashboard_shows_what_operators_ask_for() -> None:
    selected = set[str]().union(
        *(
            metrics(promql_parser.parse(target["expr"].replace(GRAFANA_INTERVAL, "1m")))
            for panel in PANELS
            for target in panel["targets"]
        )
    )
    assert selected >= {
        "http_server_request_duration_seconds_bucket",
        "iqa_stage_duration_seconds_bucket",
        "nv_inference_queue_duration_us",
        "nv_inference_exec_count",
        "nv_gpu_utilization",
        "nv_inference_request_failure",
        "iqa_problems_total",
    }
