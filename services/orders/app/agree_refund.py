"""Starting a refund: it is split over the tenders that can bear it and paid by its own process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.orders.process import pay_refund


@dataclass(frozen=True)
class Tender:
    """What can still go back to a tender."""

    tender_id: str
    left_minor: int


def start_refund(
    work: Work, order_id: str, tenders: Sequence[Tender], amount_minor: int, *, kind: str, reason: str, return_id: str
) -> dict[str, Any]:
    """Starts paying a refund back to the tenders in their order, and returns its row, which the caller writes."""
    refund_id = new_id()
    parts, left = [], amount_minor
    for tender in tenders:
        part = min(left, tender.left_minor)
        if part > 0:
            parts.append(pay_refund.TenderPart(tender.tender_id, part))
            left -= part
    work.start(pay_refund.NAME, refund_id, pay_refund.State(refund_id, order_id, parts), pay_refund.Agreed())
    return {
        "refund_id": refund_id, "order_id": order_id, "return_id": return_id, "kind": kind, "state": "PENDING",
        "amount_minor": amount_minor, "reason": reason, "created_at": work.now,
    }  # fmt: skip
