"""A refund on its way to the customer: each tender's part is paid once, under a key that never changes."""

from collections.abc import Sequence

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
    # The tenders whose provider said no; not known of refunds that were agreed before it was noted.
    failed: list[str] | None = None


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
        case Agreed():
            return _ask(state, _unpaid(state))
        case HoldReleased():
            # What has no answer yet may have worked: under another key it would be paid twice.
            return _ask(state, [part for part in _unpaid(state) if state.failed is None or part.tender_id in state.failed])
        case TenderPaid(tender_id):
            paid = replace(state, paid=[*state.paid, tender_id])
            part = next(one for one in state.parts if one.tender_id == tender_id)
            last = not _unpaid(paid)
            return Next(paid, changes=(KeepPayment(state.refund_id, tender_id, part.amount_minor, last),), ended=last)
        case TenderFailed(tender_id, reason):
            failed = replace(state, failed=[*(state.failed or ()), tender_id])
            return Next(failed, changes=(RaiseHold("REFUND_FAILED", reason),))
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")


def _ask(state: State, parts: Sequence[TenderPart]) -> Next[State]:
    tries = state.tries + 1
    return Next(replace(state, tries=tries, failed=[]), tuple(_pay(state, part, tries) for part in parts))


def _unpaid(state: State) -> list[TenderPart]:
    return [part for part in state.parts if part.tender_id not in state.paid]


def _pay(state: State, part: TenderPart, tries: int) -> Do:
    effect = RefundTender(state.refund_id, state.order_id, part.tender_id, part.amount_minor)
    return Do(f"pay/{part.tender_id}/{tries}", effect)
