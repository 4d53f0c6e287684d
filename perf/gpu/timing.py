"""How fast the metrics are on a GPU, beside piq there and the time to read the pixels just once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch.profiler import ProfilerActivity, profile

from perf.gpu.check import Batch

LEAST_CALLS = 3
PROFILED_CALLS = 5


def seconds_per_call(call: Callable[[], object], duration: float) -> float:
    """Median over the calls of `duration` seconds; a call returns with its result."""
    call()
    times: list[float] = []
    end = time.perf_counter() + duration
    while time.perf_counter() < end or len(times) < LEAST_CALLS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def bandwidth(device: str) -> float:
    """Bytes per second that copies within the device's memory read and write."""
    size = 1 << (30 if torch.device(device).type == "cuda" else 20)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        target[-1].item()  # waits for the copy

    return 2 * size / seconds_per_call(copy, 0.5)


def device_seconds(call: Callable[[], object], device: str) -> dict[str, float]:
    """Seconds of a call that the GPU works, by kernel and copy; empty on a CPU."""
    kind = torch.device(device).type
    activity = ProfilerActivity.CUDA if kind == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        for _ in range(PROFILED_CALLS):
            call()
    return {
        event.key: event.self_device_time_total / 1e6 / PROFILED_CALLS
        for event in profiler.key_averages()
        if event.self_device_time_total > 0 and event.device_type.name.lower() == kind
    }


def piq_call(metric: str, batch: Batch) -> Callable[[], object]:
    """piq of a batch where it lies: one call where sizes agree, else picture by picture."""
    from perf.baselines.piq_offline import piq

    def planes(images: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        moved = [image.permute(2, 0, 1)[None].float() for image in images]
        return [torch.cat(moved)] if len({image.shape for image in moved}) == 1 else moved

    if metric == "ms_ssim":
        pairs = list(zip(planes(batch.originals), planes(batch.distorted), strict=True))

        @torch.inference_mode()
        def ms_ssim_of_all() -> list[torch.Tensor]:
            return [
                piq.multi_scale_ssim(*pair, data_range=255, reduction="none").cpu()
                for pair in pairs
            ]

        return ms_ssim_of_all

    grey = planes(batch.grey)

    @torch.inference_mode()
    def brisque_of_all() -> list[torch.Tensor]:
        return [piq.brisque(image, data_range=255, reduction="none").cpu() for image in grey]

    return brisque_of_all
