"""Why a file gives no pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Turn what a decoder raises on a damaged file into a `DecodingError`."""
    try:
        yield
    except DecodingError:
        raise
    except MemoryError as error:
        raise DecodingError(
            "out_of_memory", "No memory for this size now: try again, or smaller."
        ) from error
    except Exception as error:  # each of Pillow's readers raises what its parser stumbles over
        raise DecodingError(
            "invalid_image", "The image is damaged or incomplete: send it again."
        ) from error
