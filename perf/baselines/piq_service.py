"""The obvious service: FastAPI, and piq in a pool with a process for every core.

Run it with `uvicorn perf.baselines.piq_service:app`.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import simplejpeg
from fastapi import FastAPI, UploadFile

app = FastAPI()
cores = len(os.sched_getaffinity(0))
pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"))


def decode_and_score(model: str, *files: bytes) -> float:
    """Score JPEG files in a process of the pool."""
    from perf.baselines.piq_scores import score  # torch stays out of the process that serves

    return score(model, *(simplejpeg.decode_jpeg(file, "RGB") for file in files))


async def _answer(model: str, *uploads: UploadFile) -> dict[str, float]:
    files = [await upload.read() for upload in uploads]
    loop = asyncio.get_running_loop()
    return {"score": await loop.run_in_executor(pool, decode_and_score, model, *files)}


@app.post("/api/v1/iqa/nr/brisque/")
async def brisque(image: UploadFile) -> dict[str, float]:
    """BRISQUE of a JPEG."""
    return await _answer("brisque", image)


@app.post("/api/v1/iqa/fr/ms-ssim/")
async def ms_ssim(original_image: UploadFile, distorted_image: UploadFile) -> dict[str, float]:
    """MS-SSIM of two JPEGs."""
    return await _answer("ms_ssim", original_image, distorted_image)
