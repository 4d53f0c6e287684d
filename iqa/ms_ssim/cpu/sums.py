"""What the windows of a band lack to 1, added up.

With E the Gaussian window and var z = E[z^2] - E[z]^2, of difference u and sum v of a pair,
2 cov(x, y) = (var v - var u) / 2 and var x + var y = (var v + var u) / 2, so that

    contrast-structure = 1 - 2 var u / (var u + var v + 2 C2)
    luminance          = 1 - 2 E[u]^2 / (E[u]^2 + E[v]^2 + 2 C1):

four filtered fields, and exactly 1 on identical pixels.
"""

from __future__ import annotations

from typing import Any

from iqa.ms_ssim.cpu.load import Samples
from iqa.ms_ssim.cpu.window import (
    FIELD,
    FIELD_BY_FIELD,
    LINE,
    MARGIN,
    SPAN,
    Real,
    blur_along,
    blur_down,
    gain_of,
    weights,
    windows_along,
)
from iqa.ms_ssim.pooling import C1, C2
from iqa.simd.jit import block_kernel, row_kernel
from iqa.simd.lanes import (
    LANES,
    PHASES,
    RUN,
    count_of,
    inside,
    load_rows,
    spread,
    sum_of,
    vector_sum,
)


@block_kernel
def add_up(
    ring: Samples,
    bands: tuple[int, int, int],
    rows: tuple[int, int],
    windows: int,
    centres: tuple[float, float] | None,
    taps: Real,
    tile: Real,
) -> tuple[float, float]:
    """Sum of 1 - contrast-structure, or 1 - SSIM, of the windows that end in a band.

    Args:
        ring, bands: see `window.blur_down`.
        rows: the first and the last (exclusive) of the 8 rows in which windows end.
        windows: so many a row.
        centres: of x and y, for SSIM; None for contrast-structure.
        taps: of the type to compute in.
        tile: of the same type, see `window`.

    Returns:
        the sum; and how delicate it is: the mean of what an error of one part in the mean squares
        makes of the losses, where windows are so alike that their errors are, too. The last row
        and the first phase stand for all, as windows overlap.
    """
    w, gain, nothing = weights(taps), gain_of(taps), spread(taps.dtype.type(0), 1)
    total = risks = 0.0
    for run in range(-1, -(-windows // RUN)):
        left = windows - run * RUN
        if left + MARGIN > RUN:
            blur_down(ring, bands, run + 1, w, tile)
        if run < 0:
            continue
        for lane in range(0, LANES, count_of(tile.dtype)):
            lost = risk = nothing
            place = run % 2 * LANES + lane
            if FIELD_BY_FIELD:
                blur_along(rows, place, w, tile)
            for row in range(rows[0], rows[1]):
                at = row * LINE + place
                mean_u = _field(tile, at, w)
                square_u = _field(tile, at + FIELD, w)
                mean_v = _field(tile, at + 2 * FIELD, w)
                square_v = _field(tile, at + 3 * FIELD, w)
                var_u = square_u - gain * (mean_u * mean_u)  # divided by `gain`
                var_v = square_v - gain * (mean_v * mean_v)
                losses = var_u / (var_u + (var_v + 2 * C2 / gain))
                if centres is not None:
                    losses = _ssim_losses(losses, mean_u, mean_v, centres, gain)
                if left < RUN:
                    losses = inside(left - PHASES * lane, losses, 0)
                lost = lost + vector_sum(losses)
                # The last row's stands for all.
                risk = _risk(mean_u[0], mean_v[0], var_u[0], var_v[0], gain)
            if left < RUN:
                risk = inside(-(-left // PHASES) - lane, risk, 0)
            total += sum_of(lost)
            risks += sum_of(risk)
    return 2 * total, gain * risks / -(-windows // PHASES)


@row_kernel
def _field(tile: Real, at: int, w: Any) -> Any:
    """A field of four windows, which the tile has already, or has what they are made of."""
    if FIELD_BY_FIELD:
        return load_rows(tile, at, SPAN, PHASES, tile.dtype)
    return windows_along(tile, at, w)


@row_kernel
def _ssim_losses(
    contrast_loss: Any, mean_u: Any, mean_v: Any, centres: tuple[float, float], gain: float
) -> Any:
    """Half of 1 - SSIM of four windows, from half of 1 - contrast-structure and their means."""
    u = gain * mean_u + (centres[0] - centres[1])
    v = gain * mean_v + (centres[0] + centres[1])
    luminance_loss = u * u / (u * u + (v * v + 2 * C1))  # likewise
    return contrast_loss + luminance_loss - 2 * contrast_loss * luminance_loss


@row_kernel
def _risk(mean_u: Any, mean_v: Any, var_u: Any, var_v: Any, gain: float) -> Any:
    """How much an error of one part in the mean squares changes a loss, divided by `gain`.

    With s = (var u + var v) / 2 + C2 that is E[u]^2 / s for the mean square of u. That of v counts
    where u is not flat, too: E[v]^2 var u / 2 s^2 where errors are as those of noise of deviation
    4, less where var v hides them.
    """
    noise = 16 / gain
    dither = noise + var_v
    inverse = 1 / ((0.5 * (var_u + var_v) + C2 / gain) * dither)
    energy = 0.5 * noise * (var_u * dither * inverse) * (mean_v * mean_v)
    return inverse * (mean_u * mean_u * dither + energy)
