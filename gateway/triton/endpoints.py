"""Where Triton is: one address, or several that gRPC balances by itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence

# Each endpoint is used in turn; one that answers only errors is left out for a while. Triton
# refuses with UNAVAILABLE before it works, and a lost connection says the same: a further attempt
# then finds another endpoint, and the tokens end such attempts before they multiply load.
SERVICE_CONFIG = {
    "loadBalancingConfig": [
        {
            "outlier_detection_experimental": {
                "interval": "1s",
                "baseEjectionTime": "3s",
                "maxEjectionTime": "10s",
                "maxEjectionPercent": 50,
                "failurePercentageEjection": {
                    "threshold": 90,
                    "enforcementPercentage": 100,
                    "minimumHosts": 2,
                    "requestVolume": 5,
                },
                "childPolicy": [{"round_robin": {}}],
            }
        },
        {"round_robin": {}},  # of these gRPC takes the first that it knows
    ],
    "methodConfig": [
        {
            "name": [{"service": "inference.GRPCInferenceService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.01s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "NOT_FOUND"],  # NOT_FOUND: shutting down
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}
Options = Sequence[tuple[str, str | int]]
OPTIONS: Options = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.http2.bdp_probe", 0),  # its pings cost a tenth of a small call
    # A Triton that comes back is found again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
SINGLE_OPTIONS: Options = [*OPTIONS, ("grpc.enable_retries", 0)]
SPREAD_OPTIONS: Options = [
    *OPTIONS,
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    # A request larger than this could not be sent a second time; the default is 256 KiB.
    ("grpc.per_rpc_retry_buffer_size", (1 << 31) - 1),
    # An endpoint that hangs is noticed within five seconds; one that is only starved of CPU time
    # answers earlier. Triton has to allow as many pings (--grpc-http2-max-ping-strikes=0).
    ("grpc.keepalive_time_ms", 2000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),
    ("grpc.http2.max_pings_without_data", 0),
    # A name is looked up again when an endpoint closes its connection.
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
]


def is_spread(url: str) -> bool:
    """Whether `url` means several Tritons: a list, or a name that may have many addresses."""
    return "," in url or url.startswith("dns:")


def options(url: str) -> Options:
    """How gRPC is to treat what `url` means."""
    return SPREAD_OPTIONS if is_spread(url) else SINGLE_OPTIONS


def target(url: str) -> str:
    """What gRPC connects to.

    Args:
        url: `host:port`; or a list of them, `host:port,host:port`, whose names are looked up once
            (IPv4); or `dns:///name:port`, a name that is looked up again and again.

    Raises:
        ValueError: an entry of the list has no port.
        OSError: the name of an entry has no address.
    """
    if "," not in url:
        return url
    addresses = []
    for entry in url.split(","):
        host, _, port = entry.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"not host:port: {entry!r}")
        addresses.append(f"{socket.gethostbyname(host)}:{port}")
    return f"ipv4:{','.join(addresses)}"
