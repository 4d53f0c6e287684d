"""This project's kernels inside FastAPI, without Triton: what the service's architecture costs.

Run it with `python -m perf.baselines.in_process --port PORT --workers N`, N the number of cores.
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import simplejpeg
import uvicorn

from iqa.metric import Metric
from launcher.addresses import listen
from perf.baselines.routes import scoring_app
from perf.load.calls import score

# Each worker has a core: more threads would only take turns on it.
pool = ThreadPoolExecutor(1)


def decode_and_score(metric: Metric, files: list[bytes]) -> float:
    """The score of JPEG files."""
    return score(metric.name, *(simplejpeg.decode_jpeg(file, "RGB") for file in files))


async def _answer(metric: Metric, files: list[bytes]) -> float:
    return await asyncio.get_running_loop().run_in_executor(pool, decode_and_score, metric, files)


app = scoring_app(_answer)


def serve(port: int) -> None:
    """Be a worker: with a socket of its own, as uvicorn's workers share theirs unevenly."""
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run([listen("127.0.0.1", port)])


def main() -> None:
    """Start the workers and wait for them."""
    parser = argparse.ArgumentParser(prog="perf.baselines.in_process", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    spawn = get_context("spawn")
    workers = [spawn.Process(target=serve, args=(options.port,)) for _ in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
