"""Which items are left out when a run goes on: those that have a row, by picture and original."""

from __future__ import annotations

from bulk.items import Item
from bulk.parts import Held


def test_an_item_is_its_picture_and_its_original() -> None:
    held = Held()
    held.add([{"path": "copy", "reference": "one"}, {"path": "alone", "reference": None}])
    items = [Item("copy", "two"), Item("copy", "one"), Item("alone", "one"), Item("alone")]
    assert list(held.without(items)) == [Item("copy", "two"), Item("alone", "one")]


def test_of_what_is_named_several_times_so_many_are_missing() -> None:
    held = Held()
    held.add([{"path": "a", "reference": None}] * 2)
    assert list(held.without([Item("a")] * 3)) == [Item("a")]
