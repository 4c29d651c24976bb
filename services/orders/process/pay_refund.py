"""A refund on its way to the customer: each tender's part is paid once, under a key that never changes."""

from msgspec import Struct, field
from msgspec.structs import replace

from chassis.kernel.process import Do, HoldReleased, Next
from services.orders.process.messages import RaiseHold

NAME = "pay_refund"


class TenderPart(Struct, frozen=True):
    """What goes back to a tender."""

    tender_id: str
    amount_minor: int


class State(Struct, frozen=True):
    """What is still to be paid."""

    refund_id: str
    order_id: str
    parts: list[TenderPart]
    paid: list[str] = field(default_factory=list)
    tries: int = 0


class Agreed(Struct, frozen=True, tag=True):
    """The refund was agreed."""


class TenderPaid(Struct, frozen=True, tag=True):
    """A tender's part was paid."""

    tender_id: str
    reference: str


class TenderFailed(Struct, frozen=True, tag=True):
    """The provider says no."""

    tender_id: str
    reason: str


class RefundTender(Struct, frozen=True, tag=True):
    """Pay a tender's part."""

    refund_id: str
    order_id: str
    tender_id: str
    amount_minor: int


class KeepPayment(Struct, frozen=True, tag=True):
    """Write that a tender's part was paid; `last` with the last of them."""

    refund_id: str
    tender_id: str
    amount_minor: int
    last: bool


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    del now
    match message:
        case Agreed() | HoldReleased():
            tries = state.tries + 1
            return Next(replace(state, tries=tries), tuple(_pay(state, part, tries) for part in _unpaid(state)))
        case TenderPaid(tender_id):
            paid = replace(state, paid=[*state.paid, tender_id])
            part = next(one for one in state.parts if one.tender_id == tender_id)
            last = not _unpaid(paid)
            return Next(paid, changes=(KeepPayment(state.refund_id, tender_id, part.amount_minor, last),), ended=last)
        case TenderFailed(_, reason):
            return Next(state, changes=(RaiseHold("REFUND_FAILED", reason),))
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")


def _unpaid(state: State) -> list[TenderPart]:
    return [part for part in state.parts if part.tender_id not in state.paid]


def _pay(state: State, part: TenderPart, tries: int) -> Do:
    effect = RefundTender(state.refund_id, state.order_id, part.tender_id, part.amount_minor)
    return Do(f"pay/{part.tender_id}/{tries}", effect)
