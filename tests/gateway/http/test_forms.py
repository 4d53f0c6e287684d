"""Which files of a form belong together, and how many there may be."""

from __future__ import annotations

import pytest

from gateway.http import forms
from gateway.http.problems import Problem
from gateway.http.uploads import Upload

SINGLE, PAIR = ("images",), ("original_images", "distorted_images")
MOST = 4


def uploads(field: str, count: int) -> list[Upload]:
    return [Upload(field, f"{field}-{number}", memoryview(b"")) for number in range(count)]


def pairs(originals: int, copies: int) -> list[Upload]:
    return uploads(PAIR[0], originals) + uploads(PAIR[1], copies)


def names(form: list[Upload], fields: tuple[str, ...]) -> list[tuple[str | None, ...]]:
    return [tuple(upload.filename for upload in group) for group in forms.items(form, fields, MOST)]


def test_items_keep_the_order_of_the_form() -> None:
    assert names(uploads("images", 3), SINGLE) == [("images-0",), ("images-1",), ("images-2",)]
    assert names(pairs(2, 2)[::-1], PAIR) == [
        ("original_images-1", "distorted_images-1"),
        ("original_images-0", "distorted_images-0"),
    ]


def test_one_original_serves_all_copies() -> None:
    assert names(pairs(1, 3), PAIR) == [
        ("original_images-0", f"distorted_images-{number}") for number in range(3)
    ]


@pytest.mark.parametrize("originals", [1, MOST])
def test_as_many_as_may_be_are_taken(originals: int) -> None:
    assert len(names(pairs(originals, MOST), PAIR)) == MOST
    assert len(names(uploads("images", MOST), SINGLE)) == MOST


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        (uploads("images", MOST + 1), SINGLE),
        (pairs(MOST + 1, MOST + 1), PAIR),
        (pairs(1, MOST + 1), PAIR),  # one original, many copies
    ],
    ids=["images", "pairs", "one original"],
)
def test_more_are_refused(form: list[Upload], fields: tuple[str, ...]) -> None:
    with pytest.raises(Problem, match=f"at most {MOST} images or pairs") as caught:
        forms.items(form, fields, MOST)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(("originals", "copies"), [(2, 3), (3, 2), (3, 1), (0, 1), (1, 0)])
def test_what_has_no_partner_is_refused(originals: int, copies: int) -> None:
    with pytest.raises(Problem) as caught:
        forms.items(pairs(originals, copies), PAIR, MOST)
    assert caught.value.code == "invalid_request"
