"""The obvious service: FastAPI, and piq in a pool with a process for every core.

Run it with `uvicorn perf.baselines.piq_service:app`.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import simplejpeg

from iqa.metric import Metric
from perf.baselines.routes import scoring_app

cores = len(os.sched_getaffinity(0))
pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"))


def decode_and_score(name: str, files: list[bytes]) -> float:
    """The score of JPEG files, in a process of the pool."""
    from perf.baselines.piq_scores import score  # torch stays out of the process that serves

    return score(name, *(simplejpeg.decode_jpeg(file, "RGB") for file in files))


async def _answer(metric: Metric, files: list[bytes]) -> float:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, decode_and_score, metric.name, files)


app = scoring_app(_answer)
