from __future__ import annotations

import asyncio
import gc
import weakref
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from decoding.errors import DecodingError
from gateway.admission import Admission, Deadline
from gateway.http.problems import Problem
from gateway.scoring import Scorer
from gateway.settings import Settings
from gateway.triton.client import TritonClient
from iqa.catalogue import METRICS
from tests.conftest import RunningService

NOBODY = "127.0.0.1:1"


def jpeg(*, flat: bool = False) -> bytes:
    pixels = np.zeros((64, 64, 3), np.uint8)
    if not flat:
        pixels[::2, ::3] = 200
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ("invalid_image", b"\xff\xd8\xff no JPEG"),
        ("unsupported_format", b"no picture"),
        ("invalid_image", jpeg()[:-300]),
        ("score_undefined", jpeg(flat=True)),
        ("backend_unavailable", jpeg()),
    ],
    ids=["header", "header read in a thread", "pixels", "score", "backend"],
)
def test_an_error_keeps_no_upload_until_garbage_is_collected(
    service: RunningService, code: str, file: bytes
) -> None:
    url = NOBODY if code == "backend_unavailable" else service.grpc
    triton = TritonClient(url, "grpc", region_bytes=1 << 20, largest_slot=1 << 20)
    scorer = Scorer(Settings(), Admission(8, 1 << 20), triton, together=True)

    async def refused() -> weakref.ref[memoryview]:
        triton.connect()
        upload = memoryview(file)
        with pytest.raises((Problem, DecodingError), match=code):
            await scorer.infer(METRICS[0], [upload], Deadline(10, {}), "id", ["SCORE"])
        await triton.close()
        return weakref.ref(upload)

    gc.disable()
    try:
        assert asyncio.run(refused())() is None
    finally:
        gc.enable()
