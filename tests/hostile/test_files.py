"""Every file of the corpus gets its score or its code from the running service, in its memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import psutil

import iqa
from decoding import open_picture
from gateway.http.problems import STATUS
from perf.load.faults import members
from tests.conftest import RunningService
from tests.hostile.corpus import Entry, photograph
from tests.hostile.files import encoded

BRISQUE, MS_SSIM = "/api/v1/iqa/nr/brisque/", "/api/v1/iqa/fr/ms-ssim/"
CLIENTS = 4
BATCH = 64  # most images in one request
BATCH_BYTES = 64 << 20
PATIENCE = 120  # seconds; a batch of the worst takes 17 on a busy machine
PATIENT = {"X-Request-Timeout": str(PATIENCE)}
HELD = 250 << 20  # bytes; each bomb would take more

Answer = float | str
"""A score or the code of a problem."""


def expected(entry: Entry) -> Answer:
    """What the service owes for it."""
    if isinstance(entry.expected, str):
        return entry.expected
    scored = iqa.brisque.score([entry.expected])
    error = scored.errors[0]
    return float(np.float32(scored.values[0])) if error is None else error.code


def answer_of(response: httpx.Response) -> Answer:
    content = response.json()
    if response.status_code == 200:
        return content["score"]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == STATUS[content["code"]]
    assert not re.search("Traceback|site-packages|PIL|0x[0-9a-f]{6}|/tmp", response.text)
    return content["code"]


async def test_each_file_alone_and_no_bomb_is_ever_held(
    service: RunningService, entries: Sequence[Entry]
) -> None:
    async with httpx.AsyncClient(base_url=service.url, headers=PATIENT, timeout=PATIENCE) as client:
        turns = asyncio.Semaphore(CLIENTS)

        async def send(entry: Entry) -> Answer:
            file = (entry.filename, entry.file, entry.content_type)
            async with turns:
                return answer_of(await client.post(BRISQUE, files={"image": file}))

        await asyncio.gather(*(send(entry) for entry in entries if len(entry.file) < 1 << 20))
        before = forget_peaks(service)
        answers = await asyncio.gather(*map(send, entries))
    wrong = {
        entry.name: (answer, expected(entry))
        for entry, answer in zip(entries, answers, strict=True)
        if answer != expected(entry)
    }
    assert not wrong
    grown = {process.pid: peak(process) - resident for process, resident in before.items()}
    print("most held beyond what was held before, MB:", [held >> 20 for held in grown.values()])
    assert max(grown.values()) < HELD


def test_each_file_in_a_batch_spoils_no_other(
    service: RunningService, entries: Sequence[Entry]
) -> None:
    with httpx.Client(base_url=service.url, headers=PATIENT, timeout=PATIENCE) as client:
        for batch in batches(entries):
            files = [("images", (entry.name, entry.file)) for entry in batch]
            results = client.post(f"{BRISQUE}batch/", files=files).json()["results"]
            for entry, result in zip(batch, results, strict=True):
                answer = result.get("score", result.get("error", "").partition(": ")[0])
                assert (result["filename"], answer) == (entry.name, expected(entry))


def test_each_kind_as_half_of_a_pair(service: RunningService, entries: Sequence[Entry]) -> None:
    original = photograph()
    with httpx.Client(base_url=service.url, headers=PATIENT, timeout=PATIENCE) as client:
        for entry in entries[::7]:
            files = {"original_image": encoded(original, "PNG"), "distorted_image": entry.file}
            answer = answer_of(client.post(MS_SSIM, files=files))
            if isinstance(entry.expected, str):
                code = entry.expected
                # A picture of another size is refused before its pixels are looked at.
                assert answer in (code, "size_mismatch") or code == "score_undefined", entry.name
            elif entry.expected.shape[:2] != original.shape[:2]:
                assert answer == "size_mismatch", entry.name
            else:
                over_white = np.broadcast_to(entry.expected, original.shape)
                over_black = np.empty_like(original)
                open_picture(memoryview(entry.file), max_pixels=original.size).decode(over_black, 0)
                # What is transparent shows over one of the two at least.
                pair = [over_white, over_black]
                score = iqa.ms_ssim.score([original] * 2, pair).values.min()
                assert answer == float(np.float32(score)), entry.name


def batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        full = sum(len(each.file) for each in [*batch, entry]) > BATCH_BYTES
        if batch and (full or len(batch) == BATCH):
            yield batch
            batch = []
        batch.append(entry)
    yield batch


def forget_peaks(service: RunningService) -> dict[psutil.Process, int]:
    """Start to watch the most memory that each process holds; resident bytes now."""
    processes = members(service.process.pid)
    for process in processes:
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return {process: process.memory_info().rss for process in processes}


def peak(process: psutil.Process) -> int:
    """Most bytes that it has held since."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) << 10
