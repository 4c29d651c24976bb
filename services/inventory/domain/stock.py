"""States of stock, what may move where by hand, and what can be promised."""

from collections.abc import Mapping
from enum import IntEnum

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


ON_HAND = frozenset(State) - {State.OUTSIDE, State.INCOMING, State.IN_TRANSIT, State.RETURN_PENDING}
BY_HAND = frozenset({State.AVAILABLE, State.QUARANTINE, State.DAMAGED})
SOURCED_KINDS = frozenset({1, 2, 3, 5})


def by_hand(state: int, field: str) -> State:
    """Returns a state that people may change by hand; raises InvalidArgument for the others."""
    if state not in BY_HAND:
        raise InvalidArgument(
            "INVALID_STATE", f"{field}: must be AVAILABLE, QUARANTINE or DAMAGED; the others follow from documents", field=field
        )
    return State(state)


def available_to_promise(available: int, safety: int) -> int:
    """Returns what a location can promise: max(0, AVAILABLE − safety stock). RESERVED has left AVAILABLE already."""
    return max(0, available - safety)


def available_to_sell(promisable: Mapping[str, int], buffer: int, share_percent: int) -> int:
    """Returns what a channel may show: max(0, min(ATP − buffer, ⌊share · ATP⌋)) over its pooled locations."""
    pool = sum(promisable.values())
    return max(0, min(pool - buffer, pool * share_percent // 100))
