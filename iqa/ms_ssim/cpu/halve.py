"""From the samples of one scale to those of the next: means of 2x2 samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from iqa.ms_ssim.cpu.load import BAND, PHASE, ROW, RUN_SIZE, Samples
from iqa.simd.jit import block_kernel, row_kernel
from iqa.simd.lanes import LANES, PHASES, RUN, dealt, load_rows, store_rows

QUARTER = np.float32(0.25)


@row_kernel
def repeat_last(band: Samples, rows: int, columns: int) -> None:
    """Repeat the last row of a band if they are odd in number, and likewise the last column."""
    if columns % 2 == 1:
        run, place = columns // RUN, columns % RUN
        from_phase, from_lane = (place - 1) % PHASES, (place - 1) // PHASES
        for row in range(BAND):
            last = band[run, from_phase, row, from_lane]
            band[run, place % PHASES, row, place // PHASES] = last
    if rows % 2 == 1:
        for run in range(len(band)):
            for phase in range(PHASES):
                for lane in range(LANES):
                    band[run, phase, rows, lane] = band[run, phase, rows - 1, lane]


@block_kernel
def halve(band: Samples, first_row: int, half: Samples) -> None:
    """Means of 2x2 samples of a band of twice as many runs, into four rows from `first_row` on."""
    for run in range(len(half)):
        for row in range(BAND // 2):
            place = 2 * run * RUN_SIZE + 2 * row * ROW
            left, right = _means(band, place), _means(band, place + RUN_SIZE)
            own = run * RUN_SIZE + (first_row + row) * ROW
            store_rows(half, own, PHASE, dealt(left, right))


@row_kernel
def _means(band: Samples, place: int) -> Any:
    """Means of 2x2 samples of a run: of its phases 0 and 1, and of its phases 2 and 3."""
    a = load_rows(band, place, PHASE, PHASES, np.float32)
    a = a + load_rows(band, place + ROW, PHASE, PHASES, np.float32)
    return QUARTER * (a[::2] + a[1::2])
