"""A map as an answer: a picture in perceptually uniform colours, or its numbers."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.responses import Response

from gateway.triton.messages import Outputs
from iqa.metric import Metric

PNG, RAW = "image/png", "application/octet-stream"
# Every 16th colour of inferno (S. van der Walt, N. Smith, CC0), dark to bright; between them it
# is nearly straight.
INFERNO = (
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 "
    "fcac11 f9cb35 f2ea69 fcffa4"
)
FAST_COMPRESSION = 1
PLACES = 5  # that are pointed out, of
TILES = 12  # along the longer side


def _palette() -> bytes:
    stops = np.array([list(bytes.fromhex(colour)) for colour in INFERNO.split()])
    places = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), places, channel) for channel in stops.T]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


PALETTE = _palette()


def media_type(accept: str) -> str:
    """What of the two is sent to a client with this `Accept`: PNG unless it wants the numbers."""
    ranges = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    return RAW if RAW in ranges and PNG not in ranges else PNG


def answer(metric: Metric, outputs: Outputs, kind: str) -> Response:
    """The map among a model's outputs, with the score and what the colours mean in headers."""
    values = outputs["MAP"]
    assert metric.map is not None  # else there is no such route
    low, high = metric.map.dark, metric.map.bright
    headers = {
        "X-Map-Score": repr(float(outputs["SCORE"][0])),
        "X-Map-Low": str(low),
        "X-Map-High": str(high),
        "X-Map-Shape": ",".join(map(str, values.shape)),
        "X-Map-Places": " ".join(",".join(map(str, place)) for place in places(values, low, high)),
    }
    if metric.details and metric.map.with_details:
        terms = outputs[metric.details.output]
        headers["X-Map-Terms"] = ",".join(f"{term:.6f}" for term in terms)
    content = picture(values, low, high) if kind == PNG else values.astype("<f4").tobytes()
    return Response(content, headers=headers, media_type=kind)


def places(values: NDArray[np.float32], low: float, high: float) -> list[tuple[int, int, int, int]]:
    """The tiles of a map `[h, w]` whose means are nearest to `high`: left, top, width, height.

    At most `PLACES`, the one that goes furthest first. Slivers at the edges do not count.
    """
    height, width = values.shape
    side = -(-max(height, width) // TILES)
    tops, lefts = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(values, lefts, axis=1, dtype=np.float64), tops, axis=0)
    heights, widths = np.minimum(side, height - tops), np.minimum(side, width - lefts)
    areas = np.outer(heights, widths)
    ranks = np.where(2 * areas < areas.max(), -np.inf, sums / areas * np.sign(high - low))
    best = np.argsort(-ranks, axis=None, kind="stable")[:PLACES]
    rows, columns = np.unravel_index(best[ranks.flat[best] > -np.inf], ranks.shape)
    tiles = zip(lefts[columns], tops[rows], widths[columns], heights[rows], strict=True)
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h in tiles]


def picture(values: NDArray[np.float32], low: float, high: float) -> bytes:
    """PNG of values `[h, w]`: `low` and below in the first colour, `high` and above in the last."""
    shades = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(shades)
    image.putpalette(PALETTE)
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=FAST_COMPRESSION)
    return buffer.getvalue()
