"""Locust users who ask for scores of every metric and check every answer.

`locust -f perf/locustfile.py --host http://127.0.0.1:8000` opens the web page; with `--headless`
it runs from the command line. IQA_PICTURES names a folder of pictures to send instead of the
generated ones.
"""

from __future__ import annotations

import os
from itertools import cycle
from pathlib import Path

from locust import FastHttpUser, task

from iqa.catalogue import METRICS
from perf.load.calls import calls
from perf.load.pictures import picture_set

folder = os.environ.get("IQA_PICTURES")
pairs = picture_set(Path(folder) if folder else None)
turns = cycle([cycle(calls(metric, pairs)) for metric in METRICS])


class Viewer(FastHttpUser):
    """Sends a different picture each time, without a pause."""

    @task
    def score(self) -> None:
        """One picture, or an original and a distorted copy; the metrics take turns."""
        call = next(next(turns))
        files = {
            field: (f"{field}.jpg", file, "image/jpeg")
            for field, file in zip(call.metric.fields, call.files, strict=True)
        }
        with self.client.post(call.path, files=files, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.text}")
                return
            deviation = abs(response.json()["score"] - call.expected)
            if deviation > call.metric.tolerance:
                response.failure(f"a score is off by {deviation}")
