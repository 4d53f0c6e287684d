"""The service's single routes as FastAPI makes them, for baselines that score in Python."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from starlette.datastructures import UploadFile

from iqa.catalogue import METRICS
from iqa.metric import Metric
from perf.load.calls import PREFIX

Answer = Callable[[Metric, list[bytes]], Awaitable[float]]
"""The score of the files of a request."""


def scoring_app(answer: Answer) -> FastAPI:
    """An application with a route for each metric."""
    app = FastAPI()
    for metric in METRICS:
        _add(app, metric, answer)
    return app


def _add(app: FastAPI, metric: Metric, answer: Answer) -> None:
    @app.post(f"{PREFIX}{metric.path}/")
    async def score(request: Request) -> dict[str, float]:
        async with request.form() as form:
            uploads = [form[field] for field in metric.fields]
            files = [await each.read() for each in uploads if isinstance(each, UploadFile)]
        return {"score": await answer(metric, files)}
