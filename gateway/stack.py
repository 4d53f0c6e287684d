"""A stack: images of one shape, `[N, H, W, C]`, in one slot, that share a request of Triton."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from decoding import Pixels
from gateway.triton.messages import Tensor
from gateway.triton.slots import Slot


class Model(NamedTuple):
    """A Triton model, its inputs (one for each picture of an item), the outputs wanted of it."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Kind(NamedTuple):
    """What items have in common that one stack can hold.

    Attributes:
        models: that score them; all have as many inputs.
        shape: `(H, W, C)` of every picture.
    """

    models: tuple[Model, ...]
    shape: tuple[int, int, int]

    @property
    def pictures(self) -> int:
        """Of an item."""
        return len(self.models[0].inputs)

    @property
    def pixels(self) -> int:
        """Of all pictures of an item."""
        return self.pictures * self.shape[0] * self.shape[1]

    def size(self, items: int) -> int:
        """Bytes of the pixels of so many items."""
        return items * self.pictures * prod(self.shape)


@dataclass(frozen=True)
class Stack:
    """A stack in its slot: the first pictures of all items, then their second ones.

    Attributes:
        kind: of its items.
        slot: where the pixels are.
        places: items that fit in it.
    """

    kind: Kind
    slot: Slot
    places: int

    def pixels(self, place: int) -> Pixels:
        """The pixels `[pictures, H, W, C]` of the item in a place."""
        pixels = self.slot.memory[: self.kind.size(self.places)]
        return pixels.reshape(self.kind.pictures, self.places, *self.kind.shape)[:, place]

    def tensors(self, model: Model, first: int, items: int) -> list[Tensor]:
        """A model's inputs for so many items from place `first` on."""
        shape = self.kind.shape
        return [
            Tensor(name, (items, *shape), (position * self.places + first) * prod(shape))
            for position, name in enumerate(model.inputs)
        ]
