"""AddTender: another way in which an order is paid."""

from types import SimpleNamespace

from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.tx import gate
from chassis.runtime.work import Work
from services.orders.app.capture_tender import note_capture, tell_if_paid
from services.orders.app.create_order import PROVIDER, new_tender, reference_of
from services.orders.app.views import load, visible, whole
from services.orders.store.tables import HISTORY, LINES, PAYMENT_REFERENCES, TENDERS

CAPTURED = order_pb2.TENDER_STATE_CAPTURED


async def add_tender(work: Work, request: orders_service_pb2.AddTenderRequest) -> order_pb2.Order:
    """Refusals: NO_SUCH_ORDER, NOTHING_TO_PAY, TENDER_EXISTS."""
    order = await load(work.tx, request.order_id, lock=True)
    visible(work, order.channel_id)
    lines = await work.tx.find(LINES, ("order_id",), [(order.order_id,)])
    if not order.receivable_minor and not any(line.waiting + line.reserved for line in lines):
        raise FailedPrecondition("NOTHING_TO_PAY", "nothing of the order is still to ship or to be paid", field="order_id")
    tender = new_tender(order.order_id, request.tender)
    taken, tender["captured_minor"] = tender["captured_minor"], 0
    if tender["adapter"] == PROVIDER and tender["reference"]:
        await work.tx.close(gate("payment", tender["reference"]))
        if await work.tx.find(PAYMENT_REFERENCES, ("reference",), [(tender["reference"],)]):
            text = f"an order is paid by {tender['reference']} already; another payment has another reference"
            raise FailedPrecondition("TENDER_EXISTS", text, field="tender.reference")
        await work.tx.insert(PAYMENT_REFERENCES, [reference_of(tender)])
    await work.tx.insert(TENDERS, [tender])
    entry = {"entry_id": new_id(), "order_id": order.order_id, "at": work.now, "actor": work.cause.actor}
    await work.tx.insert(HISTORY, [{**entry, "kind": "TENDER_ADDED", "detail": str(request.tender.amount_minor)}])
    if taken:
        await note_capture(work, order, SimpleNamespace(**tender), taken, state=CAPTURED)
    await tell_if_paid(work, order)
    return await whole(work.tx, order.order_id)
