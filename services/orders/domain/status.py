"""The header's status, derived from the lines, the holds and the parcels."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Status(IntEnum):
    """Numbered as in the contract."""

    PENDING = 1
    OPEN = 2
    ON_HOLD = 3
    PARTIALLY_SHIPPED = 4
    SHIPPED = 5
    DELIVERED = 6
    CANCELLED = 7


class Quantities(NamedTuple):
    """A line's quantities."""

    ordered: int
    waiting: int
    reserved: int
    shipped: int
    cancelled: int


def derive(lines: Sequence[Quantities], *, validated: bool, held: bool, delivered: bool) -> Status:
    """Returns the status that follows."""
    shipped = sum(line.shipped for line in lines)
    still_open = sum(line.waiting + line.reserved for line in lines)
    if not still_open:
        if not shipped:
            return Status.CANCELLED
        return Status.DELIVERED if delivered else Status.SHIPPED
    if held:
        return Status.ON_HOLD
    if shipped:
        return Status.PARTIALLY_SHIPPED
    return Status.OPEN if validated else Status.PENDING
