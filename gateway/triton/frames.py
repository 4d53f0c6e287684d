"""The frames of HTTP/2 (RFC 9113) that unary calls need, and how they are written and read."""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import lru_cache

from hpack import Decoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">IBI")  # length and kind, flags, stream
SETTING = struct.Struct(">HI")
NUMBER = struct.Struct(">I")

LARGEST_WINDOW = LAST_STREAM = (1 << 31) - 1
DEFAULT_WINDOW, DEFAULT_FRAME = 65535, 16384


class Kind(IntEnum):
    """Of frames (section 6)."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag(IntEnum):
    """Of frames; `ACK` is for settings and pings, `END_STREAM` for data and headers."""

    ACK = END_STREAM = 1
    END_HEADERS = 4
    PADDED = 8
    PRIORITY = 32


class Setting(IntEnum):
    """Those that matter here (section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5


class Code(IntEnum):
    """Why a stream ended early (section 7); what is not listed here is an error of one side."""

    NO_ERROR = 0
    INTERNAL_ERROR = 2
    REFUSED_STREAM = 7
    CANCEL = 8
    ENHANCE_YOUR_CALM = 11


def frame(kind: Kind, payload: bytes, flags: int = 0, stream: int = 0) -> bytes:
    """A whole frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a data or headers frame without its padding."""
    return payload[1 : len(payload) - payload[0]] if flags & Flag.PADDED else payload


@lru_cache(maxsize=256)
def header_fields(block: bytes) -> dict[str, str]:
    """Header fields; without a table they depend on nothing but the block, and blocks repeat."""
    decoder = Decoder()
    decoder.max_allowed_table_size = 0
    decoder.header_table_size = 0
    return {str(name): str(value) for name, value in decoder.decode(block)}
