"""CaptureTender: records that money was taken; it pays what has shipped first, the rest is kept for what has not."""

from typing import Any

from sqlalchemy import select, update

from argosy.orders.v1 import order_pb2, orders_events_pb2, orders_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.orders.app.take_payment import left_of
from services.orders.app.views import load, visible, whole
from services.orders.domain.amounts import worth_left
from services.orders.process import fulfil_order
from services.orders.process.messages import Paid
from services.orders.store.tables import HISTORY, LINES, ORDERS, TENDERS


async def capture_tender(work: Work, request: orders_service_pb2.CaptureTenderRequest) -> order_pb2.Order:
    """Refusals: NO_SUCH_ORDER, NO_SUCH_TENDER, NOTHING_TO_CAPTURE."""
    order = await load(work.tx, request.order_id, lock=True)
    visible(work, order.channel_id)
    rows = await work.tx.read(
        select(TENDERS).where(TENDERS.c.tender_id == request.tender_id, TENDERS.c.order_id == request.order_id).with_for_update()
    )
    if not rows:
        raise NotFound("NO_SUCH_TENDER", f"the order has no tender {request.tender_id}", field="tender_id")
    left = left_of(rows[0])
    amount = request.amount_minor or left
    if rows[0].state == order_pb2.TENDER_STATE_VOIDED or not 0 < amount <= left:
        raise FailedPrecondition("NOTHING_TO_CAPTURE", f"of this tender {left} can still be captured", field="amount_minor")
    await note_capture(work, order, rows[0], amount, state=order_pb2.TENDER_STATE_CAPTURED, reference=request.reference)
    await tell_if_paid(work, order)
    return await whole(work.tx, request.order_id)


async def note_capture(work: Work, order: Any, tender: Any, amount: int, *, state: int, reference: str = "") -> None:
    """Writes money that was taken: it pays what has shipped first, the rest is kept for what has not."""
    to_receivable = min(amount, order.receivable_minor)
    await work.tx.write(
        update(TENDERS).where(TENDERS.c.tender_id == tender.tender_id).values(
            state=state, captured_minor=tender.captured_minor + amount, reference=reference or tender.reference,
        )
    )  # fmt: skip
    await work.tx.write(
        update(ORDERS).where(ORDERS.c.order_id == order.order_id).values(
            captured_minor=order.captured_minor + amount, receivable_minor=order.receivable_minor - to_receivable,
            deposits_minor=order.deposits_minor + amount - to_receivable, version=order.version + 1,
        )
    )  # fmt: skip
    entry = {"entry_id": new_id(), "order_id": order.order_id, "at": work.now, "actor": work.cause.actor}
    await work.tx.insert(HISTORY, [{**entry, "kind": "CAPTURED_PAYMENT", "detail": str(amount)}])
    work.emit(
        orders_events_pb2.TenderCaptured(
            order_id=order.order_id, tender_id=tender.tender_id, channel_id=order.channel_id, entity=order.entity,
            currency_code=order.currency_code, amount_minor=amount, to_receivable_minor=to_receivable,
            to_deposits_minor=amount - to_receivable,
        )
    )  # fmt: skip


async def tell_if_paid(work: Work, order: Any) -> None:
    """Lets the order go on once what is authorised and captured comes to what is still to be paid."""
    row = await load(work.tx, order.order_id)
    key = [(order.order_id,)]
    tenders = await work.tx.find(TENDERS, ("order_id",), key)
    lines = await work.tx.find(LINES, ("order_id",), key)
    authorised = sum(one.amount_minor - one.captured_minor for one in tenders if one.state == order_pb2.TENDER_STATE_AUTHORISED)
    owed = row.receivable_minor + worth_left(row._mapping, [line._mapping for line in lines])
    if row.deposits_minor + authorised >= owed:
        work.deliver(fulfil_order.NAME, order.order_id, Paid())
