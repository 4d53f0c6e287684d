"""How `iqa` shares a GPU: one stream per thread, a bound on memory, survival of running out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.gpu.ragged import Item

Array = NDArray[np.float64]

# Enough for 64 pictures of 12 megapixels; several instances share one GPU.
MEMORY_LIMIT = 4 << 30


class _Streams(threading.local):
    """This thread's streams."""

    def __init__(self) -> None:
        self.by_device: dict[torch.device, torch.cuda.Stream] = {}


_streams = _Streams()


def resolved(name: str) -> torch.device:
    """The device of a name such as "cuda:0"; "cuda" is the current one.

    Raises:
        ValueError: there is no such device, or it is of a kind that kernels do not run on.
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{name!r} names no device") from error
    if device.type in ("cpu", "meta"):  # to interpret the kernels, or to be replaced in a test
        return device
    if device.type != "cuda":
        raise ValueError(f"{name!r} is no CUDA device")
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        raise ValueError(f"there is no device {name!r}: torch sees {count} CUDA devices")
    return torch.device("cuda", torch.cuda.current_device()) if device.index is None else device


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Run the body on this thread's stream of the device, after what its current stream has queued.

    Model instances are threads or processes, so none waits for another's work.
    """
    if device.type != "cuda":
        yield
        return
    stream = _streams.by_device.get(device)
    if stream is None:
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # torch left it untyped
        _streams.by_device[device] = stream
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield


def chunks(costs: Sequence[int], limit: int) -> list[range]:
    """Cut items into consecutive runs that cost at most `limit` each; a dearer item is alone."""
    cuts = [0]
    total = 0
    for index, cost in enumerate(costs):
        if index > cuts[-1] and total + cost > limit:
            cuts.append(index)
            total = 0
        total += cost
    return [range(start, end) for start, end in zip(cuts, [*cuts[1:], len(costs)], strict=True)]


def run_bounded(
    run: Callable[[Sequence[Item], torch.device], Array],
    items: Sequence[Item],
    costs: Sequence[int],
    width: int,
    device: str,
    memory_limit: int | None = None,
) -> tuple[Array, list[ItemError | None]]:
    """Run a batch on this thread's stream, within a bound on device memory.

    A chunk for which the device's memory does not suffice is split and each half is tried once
    more; then its items get an error.

    Args:
        run: takes consecutive items and the device to the items' rows `[n, width]`.
        items: N of them.
        costs: bytes of device memory that each item needs.
        width: numbers per item.
        device: a CUDA device (or the CPU, with the interpreter of the Triton language).
        memory_limit: bytes that one call of `run` may need, `MEMORY_LIMIT` if None.

    Returns:
        rows `[N, width]`, nan where an item failed, and per item an error `out_of_memory` or None.

    Raises:
        ValueError: there is no such device, or it is of a kind that kernels do not run on.
    """
    place = resolved(device)
    rows = np.full((len(items), width), np.nan)
    errors: list[ItemError | None] = [None] * len(items)

    def fits(chunk: range) -> bool:
        part = slice(chunk.start, chunk.stop)
        if len(chunk) == 0:
            return True
        try:
            with own_stream(place):
                rows[part] = run(items[part], place)
        except torch.OutOfMemoryError:
            pass
        else:
            return True
        # Only here, with the exception gone, are the failed attempt's tensors free.
        torch.cuda.empty_cache()
        return False

    for chunk in chunks(costs, MEMORY_LIMIT if memory_limit is None else memory_limit):
        if fits(chunk):
            continue
        middle = chunk.start + (len(chunk) + 1) // 2
        for half in (range(chunk.start, middle), range(middle, chunk.stop)):
            if not fits(half):
                for index in half:
                    errors[index] = ItemError(
                        "out_of_memory", "the GPU has too little free memory for this image."
                    )
    return rows, errors
