"""What the windows of a band lack to 1, added up.

With E the Gaussian window and var z = E[z^2] - E[z]^2, of difference u and sum v of a pair,
2 cov(x, y) = (var v - var u) / 2 and var x + var y = (var v + var u) / 2, so that

    contrast-structure = 1 - 2 var u / (var u + var v + 2 C2)
    luminance          = 1 - 2 E[u]^2 / (E[u]^2 + E[v]^2 + 2 C1):

four filtered fields, and exactly 1 on identical pixels.
"""

from __future__ import annotations

from typing import Any

from iqa.ms_ssim.cpu.load import LANES, PHASES, RUN, Samples
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
from iqa.simd.lanes import alike, between, count_of, load_rows, sum_of


@block_kernel
def add_up(
    ring: Samples,
    bands: tuple[int, int, int],
    rows: tuple[int, int],
    columns: int,
    centres: tuple[float, float] | None,
    taps: Real,
    tile: Real,
) -> tuple[float, float]:
    """Sum of 1 - contrast-structure, or 1 - SSIM, of the windows that end in a band.

    Args:
        ring, bands: see `window.blur_down`.
        rows: the first and the last (exclusive) of the 8 rows in which windows end.
        columns: so many windows a row.
        centres: of x and y, for SSIM; None for contrast-structure.
        taps: of the type to compute in.
        tile: of the same type, see `window`.

    Returns:
        the sum; and how delicate it is: the mean of what an error of one part in the mean squares
        makes of the losses, where windows are so alike that their errors are, too. The last row
        and the first phase stand for all, as windows overlap.
    """
    w, gain = weights(taps), gain_of(taps)
    like = w[0]
    total = risks = 0.0
    for run in range(-1, -(-columns // RUN)):
        left = columns - run * RUN
        if left + MARGIN > RUN:
            blur_down(ring, bands, run + 1, w, tile)
        if run < 0:
            continue
        for lane in range(0, LANES, count_of(like)):
            lost = risk = alike(0.0, like)
            place = run % 2 * LANES + lane
            if FIELD_BY_FIELD:
                blur_along(rows, place, w, tile)
            for row in range(rows[0], rows[1]):
                at = row * LINE + place
                mean_u = _field(tile, at, w)
                square_u = _field(tile, at + FIELD, w)
                mean_v = _field(tile, at + 2 * FIELD, w)
                square_v = _field(tile, at + 3 * FIELD, w)
                var_u = _variances(mean_u, square_u, gain)
                var_v = _variances(mean_v, square_v, gain)
                losses = _contrast_losses(var_u, var_v, gain)
                if centres is not None:
                    losses = _ssim_losses(losses, mean_u, mean_v, centres, gain)
                if left < RUN:
                    losses = _inside(losses, left - PHASES * lane)
                lost = lost + ((losses[0] + losses[1]) + (losses[2] + losses[3]))
                risk = _risk(mean_u[0], mean_v[0], var_u[0], var_v[0], gain)
            if left < RUN:
                inside = _of_phase(left - PHASES * lane, 0)
                risk = between(0, inside, risk, alike(0.0, like))
            total += sum_of(lost)
            risks += sum_of(risk)
    return 2 * total, gain * risks / _of_phase(columns, 0)


@row_kernel
def _field(tile: Real, at: int, w: Any) -> Any:
    """A field of four windows, which the tile has already, or has what they are made of."""
    if FIELD_BY_FIELD:
        return load_rows(tile, at, SPAN, PHASES, w[0])
    return windows_along(tile, at, w)


@row_kernel
def _variances(mean: Any, square: Any, gain: float) -> Any:
    """Variances of four windows, `gain` times too small, as what they are made of."""
    g = alike(gain, mean[0])
    return (
        square[0] - g * (mean[0] * mean[0]),
        square[1] - g * (mean[1] * mean[1]),
        square[2] - g * (mean[2] * mean[2]),
        square[3] - g * (mean[3] * mean[3]),
    )


@row_kernel
def _contrast_losses(u: Any, v: Any, gain: float) -> Any:
    """Half of 1 - contrast-structure of four windows, from their variances."""
    c2 = alike(2 * C2 / gain, u[0])
    return (
        u[0] / (u[0] + (v[0] + c2)),
        u[1] / (u[1] + (v[1] + c2)),
        u[2] / (u[2] + (v[2] + c2)),
        u[3] / (u[3] + (v[3] + c2)),
    )


@row_kernel
def _ssim_losses(
    contrast: Any, mean_u: Any, mean_v: Any, centres: tuple[float, float], gain: float
) -> Any:
    """Half of 1 - SSIM of four windows, from half of 1 - contrast-structure and their means."""
    return (
        _ssim_loss(contrast[0], mean_u[0], mean_v[0], centres, gain),
        _ssim_loss(contrast[1], mean_u[1], mean_v[1], centres, gain),
        _ssim_loss(contrast[2], mean_u[2], mean_v[2], centres, gain),
        _ssim_loss(contrast[3], mean_u[3], mean_v[3], centres, gain),
    )


@row_kernel
def _ssim_loss(
    contrast: Any, mean_u: Any, mean_v: Any, centres: tuple[float, float], gain: float
) -> Any:
    g, two, c1 = alike(gain, contrast), alike(2.0, contrast), alike(2 * C1, contrast)
    u = g * mean_u + alike(centres[0] - centres[1], contrast)
    v = g * mean_v + alike(centres[0] + centres[1], contrast)
    luminance = u * u / (u * u + (v * v + c1))
    return contrast + luminance - two * contrast * luminance


@row_kernel
def _of_phase(columns: int, phase: int) -> int:
    """How many of so many columns are of a phase."""
    return (columns + PHASES - 1 - phase) // PHASES


@row_kernel
def _inside(losses: Any, columns: int) -> Any:
    """The losses of the first so many windows, 0 in place of the rest."""
    nothing = alike(0.0, losses[0])
    return (
        between(0, _of_phase(columns, 0), losses[0], nothing),
        between(0, _of_phase(columns, 1), losses[1], nothing),
        between(0, _of_phase(columns, 2), losses[2], nothing),
        between(0, _of_phase(columns, 3), losses[3], nothing),
    )


@row_kernel
def _risk(mean_u: Any, mean_v: Any, u: Any, v: Any, gain: float) -> Any:
    """How much an error of one part in the mean squares changes a loss, `gain` times too small.

    Errors in a mean square of v count where u is not flat, too: as those of noise of deviation 4.
    """
    half, one = alike(0.5, u), alike(1.0, u)
    c2, noise = alike(C2 / gain, u), alike(16 / gain, u)
    dither = noise + v
    inverse = one / ((half * (u + v) + c2) * dither)
    energy = half * noise * (u * dither * inverse) * (mean_v * mean_v)
    return inverse * (mean_u * mean_u * dither + energy)
