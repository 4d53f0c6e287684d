"""Who may reach what, by the network policies of a namespace, as a network plugin decides it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True)
class End:
    """One end of a connection.

    Attributes:
        labels: of the pod.
        namespace: of the pod; empty for what is no pod of the cluster.
        address: of it.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    address: str = "203.0.113.1"


def may_reach(
    manifests: list[Manifest], source: End, target: End, port: int, protocol: str = "TCP"
) -> bool:
    """Whether both ends' policies let the connection pass; an end without a policy does."""
    return _passes(manifests, source, target, port, protocol, "Egress") and _passes(
        manifests, target, source, port, protocol, "Ingress"
    )


def _passes(
    manifests: list[Manifest], pod: End, peer: End, port: int, protocol: str, direction: str
) -> bool:
    policies = [
        each["spec"]
        for each in manifests
        if each["kind"] == "NetworkPolicy"
        and each["metadata"]["namespace"] == pod.namespace
        and direction in each["spec"]["policyTypes"]
        and _selects(each["spec"]["podSelector"], pod.labels)
    ]
    peers, rules = {"Ingress": ("from", "ingress"), "Egress": ("to", "egress")}[direction]
    return not policies or any(
        _has_port(rule, port, protocol) and _has_peer(rule.get(peers), peer, pod.namespace)
        for policy in policies
        for rule in policy.get(rules, [])
    )


def _has_port(rule: Manifest, port: int, protocol: str) -> bool:
    if "ports" not in rule:
        return True
    return any(
        entry.get("protocol", "TCP") == protocol and entry.get("port", port) == port
        for entry in rule["ports"]
    )


def _has_peer(peers: list[Manifest] | None, end: End, namespace: str) -> bool:
    return not peers or any(_is_peer(peer, end, namespace) for peer in peers)


def _is_peer(peer: Manifest, end: End, namespace: str) -> bool:
    if "ipBlock" in peer:
        return ipaddress.ip_address(end.address) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if not end.namespace:
        return False
    if "namespaceSelector" in peer:
        names = {"kubernetes.io/metadata.name": end.namespace}
        in_namespace = _selects(peer["namespaceSelector"], names)
    else:
        in_namespace = end.namespace == namespace
    return in_namespace and _selects(peer.get("podSelector", {}), end.labels)


def _selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, f"teach {__name__} {selector}"
    return selector.get("matchLabels", {}).items() <= labels.items()
