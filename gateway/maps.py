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
# Every 16th colour of viridis (S. van der Walt, N. Smith, CC0); between them it is nearly straight.
VIRIDIS = (
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1f9f88 27ad81 3dbc74 5cc863 "
    "81d34d aadc32 d5e21a fde725"
)
FAST_COMPRESSION = 1


def _palette() -> bytes:
    stops = np.array([list(bytes.fromhex(colour)) for colour in VIRIDIS.split()])
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
    }
    if metric.details and metric.map.with_details:
        terms = outputs[metric.details.output]
        headers["X-Map-Terms"] = ",".join(f"{term:.6f}" for term in terms)
    content = picture(values, low, high) if kind == PNG else values.astype("<f4").tobytes()
    return Response(content, headers=headers, media_type=kind)


def picture(values: NDArray[np.float32], low: float, high: float) -> bytes:
    """PNG of values `[h, w]`: `low` and below in the first colour, `high` and above in the last."""
    shades = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(shades)
    image.putpalette(PALETTE)
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=FAST_COMPRESSION)
    return buffer.getvalue()
