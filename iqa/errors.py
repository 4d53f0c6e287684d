"""Why one image of a batch has no score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ItemError:
    """The failure of one item; its neighbours in the batch are not affected.

    Attributes:
        code: stable name: `invalid_image`, `image_too_small`, `size_mismatch`, `score_undefined` or
            `out_of_memory`.
        message: one sentence that says what is wrong with the item.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
