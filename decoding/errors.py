"""Why a file gives no pixels."""

from __future__ import annotations


class DecodingError(Exception):
    """A file that is not decoded.

    Attributes:
        code: stable name: `invalid_image`, `unsupported_format`, `too_many_pixels` or
            `out_of_memory`.
        message: one sentence for the sender of the file that says what to do; nothing internal.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
