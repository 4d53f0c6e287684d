"""The table that comes out: one row for each item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from iqa.metric import Metric

Row = dict[str, Any]


def schema(metrics: Sequence[Metric]) -> pa.Schema:
    """The columns; a score, a size or a text that does not exist is null.

    `width`, `height` (pixels, upright), `format` and `bytes` (of the file) are of the picture, not
    of its original; `seconds` is what decoding and scoring took, `version` that of the metrics.
    """
    return pa.schema(
        [
            ("path", pa.string()),
            ("reference", pa.string()),
            *((metric.name, pa.float64()) for metric in metrics),
            ("error_code", pa.string()),
            ("error", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("format", pa.string()),
            ("bytes", pa.int64()),
            ("seconds", pa.float64()),
            ("version", pa.string()),
        ]
    )
