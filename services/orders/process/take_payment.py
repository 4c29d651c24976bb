"""Money of an authorised tender: taken as parcels leave, let go when nothing is left to ship, renewed before it expires.

Each is asked of the provider under a key that never changes until the provider has said no, so that it happens once.
"""

from msgspec import Struct
from msgspec.structs import replace

from chassis.kernel.process import Do, HoldReleased, Next
from services.orders.process.messages import RaiseHold

NAME = "take_payment"
CAPTURE, VOID, RENEW = "capture", "void", "renew"
FAILED = {CAPTURE: "CAPTURE_FAILED", VOID: "VOID_FAILED", RENEW: "AUTH_EXPIRED"}


class State(Struct, frozen=True):
    """What is asked of the provider of a tender, and how often it was."""

    payment_id: str
    order_id: str
    tender_id: str
    kind: str
    amount_minor: int
    tries: int = 0


class Begin(Struct, frozen=True, tag=True):
    """It is to be asked now."""


class Done(Struct, frozen=True, tag=True):
    """The provider did it; a renewed authorisation has another reference, and ends at another time."""

    reference: str
    expires_at: int | None = None


class Declined(Struct, frozen=True, tag=True):
    """The provider says no."""

    reason: str


class AskProvider(Struct, frozen=True, tag=True):
    """Ask the provider."""

    tender_id: str
    kind: str
    amount_minor: int


class KeepMoney(Struct, frozen=True, tag=True):
    """Write what the provider did."""

    order_id: str
    tender_id: str
    kind: str
    amount_minor: int
    reference: str
    expires_at: int | None


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    del now
    match message:
        case Begin() | HoldReleased():
            tries = state.tries + 1
            effect = AskProvider(state.tender_id, state.kind, state.amount_minor)
            return Next(replace(state, tries=tries), (Do(f"{state.kind}/{tries}", effect),))
        case Done(reference, expires_at):
            kept = KeepMoney(state.order_id, state.tender_id, state.kind, state.amount_minor, reference, expires_at)
            return Next(state, changes=(kept,), ended=True)
        case Declined(reason):
            return Next(state, changes=(RaiseHold(FAILED[state.kind], reason),))
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")
