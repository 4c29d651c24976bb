"""A return from its authorisation to its end: what was judged is refunded, and what never comes expires.

The goods are moved by people (receive, inspect); this process asks orders for the money and closes the return.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from chassis.kernel.clock import DAY
from chassis.kernel.process import Do, Fired, HoldReleased, Next, Timer

NAME = "settle_return"
COMES_WITHIN = 30 * DAY


class Units(Struct, frozen=True):
    """Units of a line, as the channel counts."""

    line_id: str
    quantity: int


class State(Struct, frozen=True):
    """What was authorised, and what still waits for money."""

    return_id: str
    order_id: str
    refund_shipping: bool
    authorised: dict[str, int]
    judged: dict[str, int] = field(default_factory=dict)
    to_refund: list[Units] = field(default_factory=list)
    asked: int = 0
    asking: list[Units] = field(default_factory=list)
    failed: bool = False
    over: bool = False


class Authorised(Struct, frozen=True, tag=True):
    """The goods may come."""


class Inspected(Struct, frozen=True, tag=True):
    """Units were judged."""

    lines: list[Units]


class Refunded(Struct, frozen=True, tag=True):
    """Orders agreed to the refund."""

    amount_minor: int


class RefundRefused(Struct, frozen=True, tag=True):
    """Orders cannot refund this."""

    reason: str


class Cancelled(Struct, frozen=True, tag=True):
    """The return was called off."""


class AskRefund(Struct, frozen=True, tag=True):
    """Ask orders for the money."""

    return_id: str
    order_id: str
    lines: list[Units]
    include_shipping: bool


class KeepRefund(Struct, frozen=True, tag=True):
    """Write what was refunded."""

    amount_minor: int


class RaiseHold(Struct, frozen=True, tag=True):
    """Let the return wait for a person."""

    reason: str
    detail: str


class Close(Struct, frozen=True, tag=True):
    """Nothing more will come: CLOSED or EXPIRED."""

    status: str


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    match message:
        case Authorised():
            return Next(state, timers=(Timer("expiry", now + COMES_WITHIN),))
        case Inspected(lines):
            return _go_on(_inspected(state, lines))
        case Refunded(amount_minor):
            following = _go_on(replace(state, asking=[]))
            return following._replace(changes=(KeepRefund(amount_minor), *following.changes))
        case RefundRefused(reason):
            held = replace(state, asking=[], to_refund=[*state.asking, *state.to_refund], failed=True)
            return Next(held, changes=(RaiseHold("REFUND_MISMATCH", reason),))
        case HoldReleased():
            return _go_on(replace(state, failed=False))
        case Cancelled():
            return Next(replace(state, over=True), timers=(Timer("expiry", None),), ended=True)
        case Fired("expiry"):
            return _expired(state)
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")


def _inspected(state: State, lines: list[Units]) -> State:
    judged = dict(state.judged)
    for line in lines:
        judged[line.line_id] = judged.get(line.line_id, 0) + line.quantity
    return replace(state, judged=judged, to_refund=[*state.to_refund, *lines])


def _go_on(state: State) -> Next[State]:
    """Asks for the next refund, or closes where all that was authorised is judged and refunded."""
    if state.asking or state.failed:
        return Next(state)
    if state.to_refund:
        asked = state.asked + 1
        lines = _merged(state.to_refund)
        whole = state.refund_shipping and _all_judged(state)
        effect = AskRefund(state.return_id, state.order_id, lines, whole)
        return Next(replace(state, asked=asked, asking=lines, to_refund=[]), (Do(f"refund/{asked}", effect),))
    if _all_judged(state) and not state.over:
        return Next(replace(state, over=True), timers=(Timer("expiry", None),), changes=(Close("CLOSED"),), ended=True)
    return Next(state)


def _expired(state: State) -> Next[State]:
    """What came is settled; what did not come never will."""
    if state.over:
        return Next(state, ended=True)
    if state.asking or state.to_refund:
        return Next(replace(state, authorised=dict(state.judged)))
    status = "CLOSED" if state.judged else "EXPIRED"
    return Next(replace(state, over=True), changes=(Close(status),), ended=True)


def _all_judged(state: State) -> bool:
    return all(state.judged.get(line_id, 0) >= quantity for line_id, quantity in state.authorised.items())


def _merged(lines: list[Units]) -> list[Units]:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.line_id] = counts.get(line.line_id, 0) + line.quantity
    return [Units(line_id, quantity) for line_id, quantity in counts.items()]
