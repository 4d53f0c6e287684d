from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from gateway.admission import Admission, Deadline
from gateway.catalogue import METRICS
from gateway.problems import Problem
from gateway.scoring import Scorer
from gateway.settings import Settings
from gateway.triton import TritonClient


def test_an_error_keeps_no_upload_until_garbage_is_collected() -> None:
    triton = TritonClient("127.0.0.1:1", "grpc", region_bytes=4096, largest_slot=4096)
    scorer = Scorer(Settings(), Admission(8, 1 << 20), triton)

    async def refused() -> weakref.ref[memoryview]:
        upload = memoryview(b"\xff\xd8\xff no JPEG")
        with pytest.raises(Problem, match="invalid_image"):
            await scorer.infer(METRICS[0], [upload], Deadline(10, {}), "id", ["SCORE"])
        return weakref.ref(upload)

    gc.disable()
    try:
        assert asyncio.run(refused())() is None
    finally:
        gc.enable()
