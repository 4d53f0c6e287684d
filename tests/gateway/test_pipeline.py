"""The way of an upload, on the application's own objects."""

from __future__ import annotations

import asyncio
import gc
import weakref
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gateway.admission import Admission
from gateway.deadline import Deadline
from gateway.http.problems import Problem
from gateway.item import Caller, Item
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.source import Source
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
    pipeline = Pipeline(Settings(), triton, 1 << 20)

    async def refused() -> weakref.ref[memoryview]:
        triton.connect()
        upload = memoryview(file)
        with Admission(8, 1 << 20).admit() as room:
            caller = Caller(Deadline(10, {}), room, "id")
            with pytest.raises(Problem, match=code):
                await pipeline.score(Item(caller, METRICS[:1], [Source(upload)]))
        await triton.close()
        return weakref.ref(upload)

    gc.disable()
    try:
        assert asyncio.run(refused())() is None
    finally:
        gc.enable()
