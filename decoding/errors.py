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


class DecoderErrors:
    """Context that turns what a decoder raises on a damaged file into a `DecodingError`."""

    def __enter__(self) -> None:
        """Nothing is needed."""

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        """Translate; each of Pillow's readers raises what its parser stumbles over."""
        if error is None or isinstance(error, DecodingError) or not isinstance(error, Exception):
            return
        if isinstance(error, MemoryError):
            raise DecodingError(
                "out_of_memory", "No memory for this size now: try again, or smaller."
            ) from error
        raise DecodingError(
            "invalid_image", "The image is damaged or incomplete: send it again."
        ) from error
