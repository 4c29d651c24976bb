"""How a late cost is shared between what is still there and what has left."""

from collections.abc import Sequence
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
