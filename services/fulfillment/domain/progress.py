"""How far a fulfilment order got, from its lines."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Status(IntEnum):
    """Numbered as in the contract."""

    RELEASED = 1
    PICKED = 2
    PARTIALLY_SHIPPED = 3
    SHIPPED = 4
    CANCELLED = 5
    READY_FOR_PICKUP = 6
    COLLECTED = 7


class Handshake(IntEnum):
    """What a location says, numbered as in the contract."""

    NONE = 0
    SUBMITTED = 1
    ACCEPTED = 2
    REJECTED = 3
    CANCELLATION_REQUESTED = 4
    CANCELLATION_ACCEPTED = 5
    CANCELLATION_REJECTED = 6
    CLOSED = 7


# Who has said that it ships is asked before it does not.
AGREED = (Handshake.ACCEPTED, Handshake.CANCELLATION_REQUESTED, Handshake.CANCELLATION_ACCEPTED, Handshake.CANCELLATION_REJECTED)


class Counts(NamedTuple):
    """A line's quantities."""

    quantity: int
    picked: int
    shorted: int
    shipped: int
    cancelled: int
    recalling: int = 0

    @property
    def left(self) -> int:
        """What can still ship."""
        return self.quantity - self.shorted - self.shipped - self.cancelled

    @property
    def to_pick(self) -> int:
        """What can still ship and is not picked; what left without being picked needs no pick."""
        return max(0, self.left - max(0, self.picked - self.shipped))


def derive(lines: Sequence[Counts], *, pickup: bool = False, ready: bool = False) -> Status:
    """Returns the status that follows; what is left of a `pickup` waits for the customer once it is `ready`."""
    shipped = sum(line.shipped for line in lines)
    left = sum(line.left for line in lines)
    if not left:
        return (Status.COLLECTED if pickup else Status.SHIPPED) if shipped else Status.CANCELLED
    if ready:
        return Status.READY_FOR_PICKUP
    if shipped:
        return Status.PARTIALLY_SHIPPED
    return Status.PICKED if all(line.picked + line.shorted + line.cancelled >= line.quantity for line in lines) else Status.RELEASED
