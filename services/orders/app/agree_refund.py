"""Starting a refund: it is split over the tenders that can bear it and paid by its own process."""

from collections.abc import Sequence
from typing import Any

from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.orders.process import pay_refund


def start_refund(
    work: Work,
    order_id: str,
    tenders: Sequence[Any],
    amount_minor: int,
    refunding: dict[str, int],
    *,
    kind: str,
    reason: str,
    return_id: str,
) -> dict[str, Any]:
    """Starts paying a refund back to the tenders in their order, and returns its row, which the caller writes.

    `refunding` is what is on its way back to tenders, where that changed since they were read: what this refund brings them is
    added, and the caller writes it. Raises ValueError where they do not hold the amount.
    """
    refund_id = new_id()
    parts, left = [], amount_minor
    for tender in tenders:
        on_its_way = refunding.get(tender.tender_id, tender.refunding_minor)
        part = min(left, tender.captured_minor - tender.refunded_minor - on_its_way)
        if part > 0:
            parts.append(pay_refund.TenderPart(tender.tender_id, part))
            refunding[tender.tender_id] = on_its_way + part
            left -= part
    if left:
        raise ValueError(f"order {order_id}: its tenders hold {left} less than the {amount_minor} that are to go back")
    work.start(pay_refund.NAME, refund_id, pay_refund.State(refund_id, order_id, parts), pay_refund.Agreed())
    return {
        "refund_id": refund_id, "order_id": order_id, "return_id": return_id, "kind": kind, "state": "PENDING",
        "amount_minor": amount_minor, "reason": reason, "created_at": work.now,
    }  # fmt: skip
