"""MarkReadyForPickup, ConfirmCollection: what a customer collects waits for them, and goes back to stock after its days."""

from types import SimpleNamespace

from sqlalchemy import select

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound, need_unchanged
from chassis.kernel.ids import new_id
from chassis.runtime.statements import NOW
from chassis.runtime.work import Work
from services.fulfillment.app.nodes import kept_node
from services.fulfillment.app.parcels.packing import hold_unwanted
from services.fulfillment.app.save_lines import OpenOrder, open_orders
from services.fulfillment.app.settle import settle
from services.fulfillment.app.views import load, to_fulfillment_order, to_shipment
from services.fulfillment.store.parcels import TRACKING
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, NODES, READY, SHIPMENT_LINES, SHIPMENTS

AT_ONCE = 200
A_WEEK = 7
EXPIRED = select(FULFILLMENT_ORDERS.c.fulfillment_order_id).where(READY, FULFILLMENT_ORDERS.c.collect_by < NOW)


async def mark_ready(work: Work, request: fulfillment_service_pb2.MarkReadyForPickupRequest) -> fulfillment_pb2.FulfillmentOrder:
    """What is left counts as picked. Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, NOT_FOR_PICKUP, NOTHING_LEFT, READY_ALREADY."""
    order = await _open(work, request.fulfillment_order_id, request.etag)
    if order.ready_at is not None:
        raise FailedPrecondition("READY_ALREADY", "the customer was told already", field="fulfillment_order_id")
    rows = await work.tx.find(NODES, ("location_id",), [(order.row.location_id,)])
    days = next((kept_node(row.body).pickup_days for row in rows), 0) or A_WEEK
    order.work_on()
    order.ready_at, order.collect_by = work.now, work.now + days * DAY
    event = fulfillment_events_pb2.ReadyForPickup(
        fulfillment_order_id=order.row.fulfillment_order_id, order_id=order.row.order_id, location_id=order.row.location_id,
        channel_id=order.row.channel_id, collect_by=to_timestamp(order.collect_by),
    )  # fmt: skip
    for line_id, own in order.counts.items():
        order.add(line_id, picked=own.to_pick)
        if own.left:
            event.lines.append(order.assignment(line_id, own.left))
    work.emit(event)
    await settle(work, [order])
    return to_fulfillment_order(*await load(work.tx, request.fulfillment_order_id))


async def confirm_collection(work: Work, request: fulfillment_service_pb2.ConfirmCollectionRequest) -> fulfillment_pb2.Shipment:
    """Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, NOT_FOR_PICKUP, NOTHING_LEFT, NOT_READY, NO_SUCH_LINE."""
    order = await _open(work, request.fulfillment_order_id, request.etag)
    if order.ready_at is None:
        raise FailedPrecondition("NOT_READY", "say first that it is ready to be collected", field="fulfillment_order_id")
    taken = _taken(order, request)
    to, shipment_id = order.row, new_id()
    row = {
        "shipment_id": shipment_id, "fulfillment_order_id": to.fulfillment_order_id, "order_id": to.order_id,
        "location_id": to.location_id, "carrier": "", "service": "", "tracking_number": "", "tracking_status": "DELIVERED",
        "tracked_at": work.now, "freight_minor": 0, "currency_code": to.currency_code, "shipped_at": work.now, "method": to.method,
        # It was promised to be ready; when the customer comes is theirs to say.
        "ship_by": None, "deliver_by": None, "delivered_at": work.now, "reference": "",
    }  # fmt: skip
    named = {"fulfillment_order_id": to.fulfillment_order_id, "shipment_id": shipment_id, "order_id": to.order_id}
    event = fulfillment_events_pb2.ShipmentShipped(
        **named, channel_id=to.channel_id, location_id=to.location_id, entity=to.entity, currency_code=to.currency_code, collected=True
    )
    for line_id, quantity in taken.items():
        order.ship(line_id, quantity)
        event.lines.append(order.assignment(line_id, quantity))
    work.emit(event)
    work.emit(fulfillment_events_pb2.ShipmentDelivered(**named, channel_id=to.channel_id, lines=event.lines, collected=True))
    await settle(work, [order])
    lines = [{"shipment_id": shipment_id, "line_id": line_id, "quantity": quantity} for line_id, quantity in taken.items()]
    await work.tx.insert(SHIPMENTS, [row])
    await work.tx.insert(SHIPMENT_LINES, lines)
    told = {"shipment_id": shipment_id, "occurred_at": work.now, "status": "DELIVERED", "detail": "collected", "place": to.location_id}
    await work.tx.insert(TRACKING, [told])
    return to_shipment(SimpleNamespace(**row), [SimpleNamespace(**line) for line in lines])


async def end_pickups(work: Work) -> None:
    """What was not collected in time is available again; the order hears that nobody came."""
    rows = await work.tx.read(EXPIRED.order_by(FULFILLMENT_ORDERS.c.collect_by).limit(AT_ONCE), {"now": work.now})
    orders = [one for one in (await open_orders(work, [row.fulfillment_order_id for row in rows])).values() if one.left]
    for order in orders:
        named = {
            "fulfillment_order_id": order.row.fulfillment_order_id, "order_id": order.row.order_id, "location_id": order.row.location_id
        }  # fmt: skip
        lines = [order.assignment(line_id, own.left) for line_id, own in order.counts.items() if own.left]
        for line in lines:
            order.add(line.line_id, cancelled=line.quantity)
        work.emit(fulfillment_events_pb2.FulfillmentOrderRecalled(**named, lines=lines, reason="it was not collected in time"))
        work.emit(fulfillment_events_pb2.PickupExpired(**named, lines=lines))
    await settle(work, orders)
    await hold_unwanted(work, orders)


async def _open(work: Work, fulfillment_order_id: str, etag: str) -> OpenOrder:
    order = OpenOrder(*await load(work.tx, fulfillment_order_id, lock=True))
    need_unchanged(etag, order.row.version)
    if not order.row.pickup:
        raise FailedPrecondition("NOT_FOR_PICKUP", "it is shipped, not collected", field="fulfillment_order_id")
    if not order.left:
        raise FailedPrecondition("NOTHING_LEFT", "nothing of this fulfilment order is left to collect", field="fulfillment_order_id")
    return order


def _taken(order: OpenOrder, request: fulfillment_service_pb2.ConfirmCollectionRequest) -> dict[str, int]:
    if not request.lines:
        return {line_id: own.left for line_id, own in order.counts.items() if own.left}
    taken: dict[str, int] = {}
    for index, line in enumerate(request.lines):
        if line.line_id not in order.counts:
            raise NotFound("NO_SUCH_LINE", f"the fulfilment order has no line {line.line_id}", field=f"lines[{index}].line_id")
        taken[line.line_id] = taken.get(line.line_id, 0) + line.quantity
        left = order.counts[line.line_id].left
        if taken[line.line_id] > left:
            raise FailedPrecondition("NOTHING_LEFT", f"of the line {left} wait", field=f"lines[{index}].quantity")
    return taken
