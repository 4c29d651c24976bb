"""States of stock, what may move where by hand, in which order lots are taken, and how kits come apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from chassis.kernel.clock import DAY
from chassis.kernel.errors import InvalidArgument


class State(IntEnum):
    """The states of stock; numbered as in the contract. OUTSIDE is where stock comes from and goes to."""

    OUTSIDE = 0
    AVAILABLE = 1
    SOFT_RESERVED = 2
    RESERVED = 3
    ALLOCATED = 4
    QUARANTINE = 5
    DAMAGED = 6
    RETURN_INSPECTION = 7
    INCOMING = 8
    IN_TRANSIT = 9
    RETURN_PENDING = 10


class Tracking(IntEnum):
    """How pieces of an item are told apart; numbered as in the contract."""

    NONE = 1
    LOT = 2
    SERIAL = 3


# Kinds of reservations (numbered as in the contract) that hold stock only for a while: it is SOFT_RESERVED, for others RESERVED.
CART, WAVE = 1, 4
HOLDING = frozenset({CART, WAVE})
ON_HAND = frozenset(State) - {State.OUTSIDE, State.INCOMING, State.IN_TRANSIT, State.RETURN_PENDING}
# What has a cost layer: what is on hand, and what is on its way between our locations.
VALUED = ON_HAND | {State.IN_TRANSIT}
BY_HAND = frozenset({State.AVAILABLE, State.QUARANTINE, State.DAMAGED})
SOURCED_KINDS = frozenset({1, 2, 3, 5})
NEVER = 1 << 62


def by_hand(state: int, field: str) -> State:
    """Returns a state that people may change by hand; raises InvalidArgument for the others."""
    if state not in BY_HAND:
        raise InvalidArgument(
            "INVALID_STATE", f"{field}: must be AVAILABLE, QUARANTINE or DAMAGED; the others follow from documents", field=field
        )
    return State(state)


@dataclass(frozen=True)
class Lot:
    """What decides when a lot is taken: when it expires (NEVER where it does not) and when it came."""

    lot: str
    expires_at: int = NEVER
    received_at: int = 0

    def sellable(self, moment: int, life_days: int) -> bool:
        """Says whether it still lives so many days at a moment (microseconds)."""
        return self.expires_at > moment + life_days * DAY


def picking_order(lots: Iterable[Lot]) -> list[Lot]:
    """Returns lots as they are taken: first expired, first out; among equals first in, first out."""
    return sorted(lots, key=lambda one: (one.expires_at, one.received_at, one.lot))


Components = Sequence[tuple[str, int]]


def kits_of(components: Components, promisable: dict[str, int]) -> int:
    """Returns how many kits can be made: the least of ⌊component ÷ its quantity⌋."""
    return min((promisable.get(item_id, 0) // quantity for item_id, quantity in components), default=0)
