"""Where the time of a request goes, from the counters of the gateway and of Triton."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from iqa.metric import Metric
from perf.bench.contenders import Contender
from perf.load.calls import PREFIX

TIMEOUT = 5  # seconds
CALL_STAGES = ("gRPC", "queue", "copy of tensors", "kernel")
"""Behind the gateway."""
STAGES = ("HTTP and multipart", "wait for memory", "decode", *CALL_STAGES)
"""What a request goes through, in the order in which it is shown."""


@dataclass(frozen=True)
class Counters:
    """What gateway and Triton have counted since they were started.

    Attributes:
        requests: answered by the metric's route.
        seconds: of each stage; in the gateway over all requests, behind it over all calls of
            Triton, of which several requests may share one.
        inference: seconds of all requests behind the gateway.
        batches: executions by the model, by batch size.
    """

    requests: float
    seconds: dict[str, float]
    inference: float
    batches: Counter[int]

    def __sub__(self, earlier: Counters) -> Counters:
        """What was counted in between."""
        seconds = {stage: self.seconds[stage] - earlier.seconds[stage] for stage in STAGES}
        return Counters(
            self.requests - earlier.requests,
            seconds,
            self.inference - earlier.inference,
            self.batches - earlier.batches,
        )

    def milliseconds(self) -> dict[str, float]:
        """Of each stage, per request; a call's stages are taken to share alike, large or small."""
        calls = sum(self.seconds[stage] for stage in CALL_STAGES)
        sharing = dict.fromkeys(CALL_STAGES, self.inference / calls)
        return {
            stage: seconds * sharing.get(stage, 1) / self.requests * 1e3
            for stage, seconds in self.seconds.items()
        }


def read_counters(metric: Metric, contender: Contender) -> Counters:
    """Ask both servers of a contender that has a gateway and a Triton.

    The gateway counts all metrics' stages together: only one may be under load in between.

    Raises:
        OSError: one of them does not answer.
    """
    requests, total, images, calls = _gateway(metric, contender.port)
    url = f"http://127.0.0.1:{contender.triton_port}/v2/models/{metric.name}/stats"
    model = json.loads(_get(url))["model_stats"][0]
    triton = {name: int(value["ns"]) / 1e9 for name, value in model["inference_stats"].items()}
    durations = (
        total - sum(images.values()),
        images["wait"],
        images["decode"],
        calls - triton["success"],
        triton["queue"],
        triton["compute_input"] + triton["compute_output"],
        triton["compute_infer"],
    )
    batches = {
        int(batch["batch_size"]): int(batch["compute_infer"]["count"])
        for batch in model["batch_stats"]
    }
    seconds = dict(zip(STAGES, durations, strict=True))
    return Counters(requests, seconds, images["inference"], Counter(batches))


def _gateway(metric: Metric, port: int) -> tuple[float, float, dict[str, float], float]:
    """Requests to the route, their seconds, seconds of images in each stage, of calls of Triton."""
    images = {"wait": 0.0, "decode": 0.0, "inference": 0.0}
    requests = seconds = calls = 0.0
    for family in text_string_to_metric_families(_get(f"http://127.0.0.1:{port}/metrics")):
        for sample in family.samples:
            stage = sample.labels.get("stage", "")
            if sample.name == "iqa_image_stage_seconds_total":
                images[stage] += sample.value
            elif sample.name == "iqa_stage_duration_seconds_sum" and stage == "inference":
                calls += sample.value
            elif sample.labels.get("http_route") != f"{PREFIX}{metric.path}/":
                continue
            elif sample.name == "http_server_request_duration_seconds_sum":
                seconds += sample.value
            elif sample.name == "http_server_request_duration_seconds_count":
                requests += sample.value
    return requests, seconds, images, calls


def _get(url: str) -> str:
    with urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310  (an address of our own making)
        text: str = response.read().decode()
    return text
