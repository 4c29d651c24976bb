"""Invoices for what shipped, credit notes for what is refunded; numbered without gaps per legal entity and kind."""

from collections.abc import Sequence
from typing import Any

from chassis.kernel.ids import new_id
from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.finance.store.tables import INVOICES, NUMBERS

PREFIX = {"INVOICE": "INV", "CREDIT_NOTE": "CRN"}


async def issue_invoices(work: Work, events: Sequence[Received]) -> None:
    """Writes one for each LinesShipped and RefundAgreed among the events."""
    wanted = [one for one in (_wanted(event.message) for event in events) if one is not None]
    if not wanted:
        return
    counts: dict[tuple[str, str], int] = {}
    for one in wanted:
        counts[one["entity"], one["kind"]] = counts.get((one["entity"], one["kind"]), 0) + 1
    rows = [{"entity": entity, "kind": kind, "last": count} for (entity, kind), count in sorted(counts.items())]
    taken = await work.tx.merge(NUMBERS, ("entity", "kind"), rows, add=("last",), returning=("entity", "kind", "last"))
    following = {(row.entity, row.kind): row.last - counts[row.entity, row.kind] for row in taken}
    for one in wanted:
        following[one["entity"], one["kind"]] += 1
        one.update(invoice_id=new_id(), number=f"{PREFIX[one['kind']]}-{following[one['entity'], one['kind']]:08d}", issued_at=work.now)
    await work.tx.insert(INVOICES, wanted)


def _wanted(message: Any) -> dict[str, Any] | None:
    name = message.DESCRIPTOR.name
    if name == "LinesShipped":
        kind, document, total = "INVOICE", message.shipment_id, message.total_minor
    elif name == "RefundAgreed":
        kind, document, total = "CREDIT_NOTE", message.refund_id, message.amount_minor
    else:
        return None
    return {
        "kind": kind, "order_id": message.order_id, "document_id": document, "entity": message.entity,
        "currency_code": message.currency_code, "net_minor": total - message.tax_minor, "tax_minor": message.tax_minor,
        "total_minor": total,
    }  # fmt: skip
