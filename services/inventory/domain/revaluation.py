"""How a late cost is shared between what is still there and what has left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis.kernel.money import allocate, proportion


@dataclass(frozen=True)
class ReceivedLine:
    """What a receipt brought of an item to a location, and what is left of it."""

    item_id: str
    location_id: str
    quantity: int
    value_minor: int
    weight_g: int = 0


VALUE, QUANTITY, WEIGHT = 1, 2, 3


def spread(amount_minor: int, lines: Sequence[ReceivedLine], basis: int) -> list[int]:
    """Returns each line's part of a cost, by largest remainder."""
    weights = {
        VALUE: [line.value_minor for line in lines],
        QUANTITY: [line.quantity for line in lines],
        WEIGHT: [line.weight_g * line.quantity for line in lines],
    }
    return allocate(amount_minor, weights[basis])


def split(amount_minor: int, left: int, received: int) -> tuple[int, int]:
    """Returns the part of a cost that what is left bears, and the part of what has left; `left` of `received` are there."""
    there = proportion(abs(amount_minor), min(left, received), received)
    sign = 1 if amount_minor >= 0 else -1
    return sign * there, amount_minor - sign * there


@dataclass(frozen=True)
class Traced:
    """A cost layer and where what it held went: how much is left, and how much left with which document."""

    layer_id: str
    item_id: str
    location_id: str
    quantity_in: int
    left: int
    went: tuple[tuple[str, int], ...] = ()


def follow(amount_minor: int, layers: Sequence[Traced], after: Mapping[str, Sequence[Traced]]) -> tuple[dict[str, int], int]:
    """Shares a late cost (not negative) between layers by quantity, follows what left them into the layers that its documents
    made (`after`: transfers), and returns what each layer bears and what has left for good.
    """  # fmt: skip
    found: dict[str, int] = {}
    gone = 0
    for layer, part in zip(layers, allocate(amount_minor, [layer.quantity_in for layer in layers]), strict=True):
        followed = [(document, quantity) for document, quantity in layer.went if document in after]
        rest = layer.quantity_in - layer.left - sum(quantity for _, quantity in followed)
        here, out, *further = allocate(part, [layer.left, rest, *(quantity for _, quantity in followed)])
        found[layer.layer_id] = found.get(layer.layer_id, 0) + here
        gone += out
        for (document, _), share_minor in zip(followed, further, strict=True):
            there, lost = follow(share_minor, after[document], after)
            gone += lost
            for layer_id, value in there.items():
                found[layer_id] = found.get(layer_id, 0) + value
    return found, gone
