"""AcceptFulfillmentOrder, RejectFulfillmentOrder: what a location says of what it was told, and what follows from its silence."""

from sqlalchemy import select

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.errors import FailedPrecondition, need_unchanged
from chassis.runtime.statements import NOW
from chassis.runtime.work import Work
from services.fulfillment.app.parcels.packing import hold_unwanted
from services.fulfillment.app.save_lines import OpenOrder, open_orders, save
from services.fulfillment.app.views import load, to_fulfillment_order
from services.fulfillment.app.warehouse.settle_picks import settle_picks
from services.fulfillment.domain.progress import Handshake
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, SUBMITTED

AT_ONCE = 200
SILENT = select(FULFILLMENT_ORDERS.c.fulfillment_order_id).where(SUBMITTED, FULFILLMENT_ORDERS.c.acknowledge_by < NOW)


async def accept(work: Work, request: fulfillment_service_pb2.AcceptFulfillmentOrderRequest) -> fulfillment_pb2.FulfillmentOrder:
    """Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, REJECTED_ALREADY."""
    order = await _open(work, request)
    order.handshake = int(Handshake.ACCEPTED)
    await save(work, [order])
    return to_fulfillment_order(*await load(work.tx, request.fulfillment_order_id))


async def reject(work: Work, request: fulfillment_service_pb2.RejectFulfillmentOrderRequest) -> fulfillment_pb2.FulfillmentOrder:
    """What it shipped stays shipped. Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, REJECTED_ALREADY, NOTHING_LEFT."""
    order = await _open(work, request)
    if not any(own.left for own in order.counts.values()):
        raise FailedPrecondition("NOTHING_LEFT", "nothing of this fulfilment order is left to ship", field="fulfillment_order_id")
    _give_up(work, order, "REJECTED", request.reason)
    await save(work, [order])
    await settle_picks(work, [order])
    await hold_unwanted(work, [order])
    return to_fulfillment_order(*await load(work.tx, request.fulfillment_order_id))


async def give_up_on_the_silent(work: Work) -> None:
    """Takes from locations that have not answered in time what they were told."""
    rows = await work.tx.read(SILENT.order_by(FULFILLMENT_ORDERS.c.acknowledge_by).limit(AT_ONCE), {"now": work.now})
    found = await open_orders(work, [row.fulfillment_order_id for row in rows])
    silent = [order for order in found.values() if order.handshake == Handshake.SUBMITTED]
    for order in silent:
        if any(own.left for own in order.counts.values()):
            _give_up(work, order, "NO_ACK", "the location did not answer in time")
        else:
            # It was called back before: there is nothing to answer any more.
            order.handshake = int(Handshake.NONE)
    await save(work, silent)
    await settle_picks(work, silent)
    await hold_unwanted(work, silent)


async def _open(
    work: Work, request: fulfillment_service_pb2.AcceptFulfillmentOrderRequest | fulfillment_service_pb2.RejectFulfillmentOrderRequest
) -> OpenOrder:
    order = OpenOrder(*await load(work.tx, request.fulfillment_order_id, lock=True))
    need_unchanged(request.etag, order.row.version)
    if order.handshake == Handshake.REJECTED:
        text = f"it is sourced elsewhere since: {order.refusal}"
        raise FailedPrecondition("REJECTED_ALREADY", text, field="fulfillment_order_id")
    return order


def _give_up(work: Work, order: OpenOrder, reason: str, detail: str) -> None:
    order.handshake, order.refusal = int(Handshake.REJECTED), detail
    event = fulfillment_events_pb2.FulfillmentOrderRejected(
        fulfillment_order_id=order.row.fulfillment_order_id, order_id=order.row.order_id, location_id=order.row.location_id,
        reason=reason, detail=detail,
    )  # fmt: skip
    for line_id, own in sorted(order.counts.items()):
        if own.left:
            item_id = order.lines[line_id].item_id
            event.lines.add(line_id=line_id, item_id=item_id, location_id=order.row.location_id, quantity=own.left)
            order.add(line_id, cancelled=own.left)
    work.emit(event)
