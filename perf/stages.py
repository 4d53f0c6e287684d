"""Where the time of a request goes, from the counters of the gateway and of Triton."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from gateway.catalogue import Metric
from perf.calls import PREFIX
from perf.contenders import Contender

TIMEOUT = 5  # seconds
STAGES = (
    "HTTP and multipart",
    "wait for memory",
    "decode",
    "gRPC",
    "queue",
    "copy of tensors",
    "kernel",
)
"""What a request goes through, in the order in which it is shown."""


@dataclass(frozen=True)
class Counters:
    """What gateway and Triton have counted since they were started.

    Attributes:
        requests: answered by the metric's route.
        seconds: of each stage, over all requests.
        batches: executions by the model, by batch size.
    """

    requests: float
    seconds: dict[str, float]
    batches: Counter[int]

    def __sub__(self, earlier: Counters) -> Counters:
        """What was counted in between."""
        seconds = {stage: self.seconds[stage] - earlier.seconds[stage] for stage in STAGES}
        return Counters(self.requests - earlier.requests, seconds, self.batches - earlier.batches)

    def milliseconds(self) -> dict[str, float]:
        """Of each stage, per request."""
        return {stage: seconds / self.requests * 1e3 for stage, seconds in self.seconds.items()}


def read_counters(metric: Metric, contender: Contender) -> Counters:
    """Ask both servers of a contender that has a gateway and a Triton.

    The gateway counts all metrics' stages together: only one may be under load in between.

    Raises:
        OSError: one of them does not answer.
    """
    requests, total, wait, decode, inference = _gateway(metric, contender.port)
    url = f"http://127.0.0.1:{contender.triton_port}/v2/models/{metric.model}/stats"
    model = json.loads(_get(url))["model_stats"][0]
    triton = {name: int(value["ns"]) / 1e9 for name, value in model["inference_stats"].items()}
    durations = (
        total - wait - decode - inference,
        wait,
        decode,
        inference - triton["success"],
        triton["queue"],
        triton["compute_input"] + triton["compute_output"],
        triton["compute_infer"],
    )
    batches = {
        int(batch["batch_size"]): int(batch["compute_infer"]["count"])
        for batch in model["batch_stats"]
    }
    return Counters(requests, dict(zip(STAGES, durations, strict=True)), Counter(batches))


def _gateway(metric: Metric, port: int) -> tuple[float, float, float, float, float]:
    """Requests to the metric's route, their seconds; seconds of all images in the three stages."""
    stages = {"wait": 0.0, "decode": 0.0, "inference": 0.0}
    requests = seconds = 0.0
    for family in text_string_to_metric_families(_get(f"http://127.0.0.1:{port}/metrics")):
        for sample in family.samples:
            if sample.name == "iqa_stage_duration_seconds_sum":
                stages[sample.labels["stage"]] += sample.value
            elif sample.labels.get("http_route") != f"{PREFIX}{metric.path}/":
                continue
            elif sample.name == "http_server_request_duration_seconds_sum":
                seconds += sample.value
            elif sample.name == "http_server_request_duration_seconds_count":
                requests += sample.value
    return requests, seconds, stages["wait"], stages["decode"], stages["inference"]


def _get(url: str) -> str:
    with urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310  (an address of our own making)
        text: str = response.read().decode()
    return text
