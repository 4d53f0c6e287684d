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
from fastapi import FastAPI, UploadFile

import iqa
from launcher.addresses import listen

app = FastAPI()
# Each worker has a core: more threads would only take turns on it.
pool = ThreadPoolExecutor(1)


def score_brisque(image: bytes) -> float:
    """BRISQUE of a JPEG file."""
    scores = iqa.brisque.score([simplejpeg.decode_jpeg(image, "RGB")])
    return float(scores.values[0])


def score_ms_ssim(original: bytes, distorted: bytes) -> float:
    """MS-SSIM of two JPEG files."""
    images = [[simplejpeg.decode_jpeg(file, "RGB")] for file in (original, distorted)]
    return float(iqa.ms_ssim.score(*images).values[0])


@app.post("/api/v1/iqa/nr/brisque/")
async def brisque(image: UploadFile) -> dict[str, float]:
    """BRISQUE of an uploaded JPEG."""
    loop = asyncio.get_running_loop()
    return {"score": await loop.run_in_executor(pool, score_brisque, await image.read())}


@app.post("/api/v1/iqa/fr/ms-ssim/")
async def ms_ssim(original_image: UploadFile, distorted_image: UploadFile) -> dict[str, float]:
    """MS-SSIM of two uploaded JPEGs."""
    original, distorted = await original_image.read(), await distorted_image.read()
    loop = asyncio.get_running_loop()
    return {"score": await loop.run_in_executor(pool, score_ms_ssim, original, distorted)}


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
