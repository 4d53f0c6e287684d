"""What a form must have: the images of an item, or of the items of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.http.problems import Problem
from gateway.http.uploads import Upload


def item(uploads: Sequence[Upload], fields: Sequence[str]) -> list[Upload]:
    """The image of each field.

    Raises:
        Problem: `invalid_request`, there is not exactly one.
    """
    groups = _by_field(uploads, fields)
    for field, group in groups.items():
        if len(group) > 1:
            raise Problem("invalid_request", f"Send one image in the form field {field}.")
    return [group[0] for group in groups.values()]


def items(uploads: Sequence[Upload], fields: Sequence[str], most: int) -> list[tuple[Upload, ...]]:
    """What belongs together; a single image in the first of several fields serves all.

    Raises:
        Problem: `invalid_request`, there are more than `most`, or not as many of each.
    """
    groups = list(_by_field(uploads, fields).values())
    length = len(groups[-1])
    if length > most:
        raise Problem("invalid_request", f"Send at most {most} images or pairs in one request.")
    if len(groups[0]) == 1:
        groups = [groups[0] * length, *groups[1:]]
    if any(len(group) != length for group in groups):
        raise Problem("invalid_request", "Send as many originals as distorted images, or one.")
    return list(zip(*groups, strict=True))


def text(uploads: Sequence[Upload], field: str) -> str:
    """What the text fields of this name say, joined by commas."""
    return ",".join(
        bytes(upload.data).decode(errors="replace") for upload in uploads if upload.name == field
    )


def _by_field(uploads: Sequence[Upload], fields: Sequence[str]) -> dict[str, list[Upload]]:
    """The images of each field, which must all be there; other fields may hold text alone."""
    groups: dict[str, list[Upload]] = {field: [] for field in fields}
    for upload in uploads:
        if upload.name in groups:
            groups[upload.name].append(upload)
        elif upload.filename is not None:
            expected = " and ".join(fields)
            raise Problem("invalid_request", f"Send images in {expected}, and in no other field.")
    for field, group in groups.items():
        if not group:
            raise Problem("invalid_request", f"Send an image in the form field {field}.")
    return groups
