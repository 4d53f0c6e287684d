"""What the launcher says: its progress on standard output, what is wrong on standard error."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from gateway.observability.logging import JsonFormatter
from launcher.options import Options

progress = logging.getLogger("iqa-serve")


def configure(options: Options) -> None:
    """Send progress, whatever the level, and the log, from the level on, to their streams."""
    as_json = options.log_format == "json"
    errors = _handler(sys.stderr, as_json, "iqa-serve: %(message)s")
    logging.basicConfig(level=options.log_level.upper(), handlers=[errors], force=True)
    progress.handlers = [_handler(sys.stdout, as_json, "%(message)s")]
    progress.setLevel(logging.INFO)
    progress.propagate = False


def _handler(stream: TextIO, as_json: bool, text: str) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(text))
    return handler
