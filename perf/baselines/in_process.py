"""This project's kernels inside FastAPI, without Triton: what the service's architecture costs.

Run it with `uvicorn perf.baselines.in_process:app --workers N`, N the number of cores.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import simplejpeg
from fastapi import FastAPI, UploadFile

import iqa

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
