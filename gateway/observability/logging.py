"""The log: one JSON object a line, uvicorn's lines included."""

from __future__ import annotations

import json
import logging

from gateway.observability.throttle import Throttle


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    FIELDS = ("request_id", "status", "duration_ms", "code", "trace_id", "left_out")

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; request fields where it has them."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            name: value
            for name in self.FIELDS
            if (value := getattr(record, name, None)) is not None
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """Send every logger's lines, uvicorn's included, as JSON to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Throttle())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").propagate = False  # see `requests`
