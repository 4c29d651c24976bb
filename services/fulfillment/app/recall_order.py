"""RecallOrder: calls back what the locations have not shipped. What is gone is gone: the answer says how much was not."""

from sqlalchemy import select

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_service_pb2
from chassis.runtime.work import Work
from services.fulfillment.app.parcels.packing import hold_unwanted
from services.fulfillment.app.save_lines import OpenOrder, save
from services.fulfillment.app.warehouse.settle_picks import settle_picks
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES


async def recall_order(work: Work, request: fulfillment_service_pb2.RecallOrderRequest) -> fulfillment_service_pb2.RecallOrderResponse:
    """Answers with what will not ship."""
    orders = await _open_orders(work, request.order_id)
    wanted = {line.line_id: line.quantity for line in request.lines}
    response = fulfillment_service_pb2.RecallOrderResponse()
    changed = []
    for order in orders:
        event = fulfillment_events_pb2.FulfillmentOrderRecalled(
            fulfillment_order_id=order.row.fulfillment_order_id, order_id=request.order_id, location_id=order.row.location_id,
            reason=request.reason,
        )  # fmt: skip
        for line_id, own in list(order.counts.items()):
            part = min(own.left, wanted.get(line_id, 0)) if wanted else own.left
            if part:
                order.add(line_id, cancelled=part)
                if wanted:
                    wanted[line_id] -= part
                values = {
                    "line_id": line_id,
                    "item_id": order.lines[line_id].item_id,
                    "location_id": order.row.location_id,
                    "quantity": part,
                }
                event.lines.add(**values)
                response.lines.add(**values)
        if event.lines:
            changed.append(order)
            work.emit(event)
    await save(work, changed)
    await settle_picks(work, changed)
    await hold_unwanted(work, changed)
    return response


async def _open_orders(work: Work, order_id: str) -> list[OpenOrder]:
    query = select(FULFILLMENT_ORDERS).where(FULFILLMENT_ORDERS.c.order_id == order_id).order_by(FULFILLMENT_ORDERS.c.fulfillment_order_id)
    rows = await work.tx.read(query.with_for_update())
    ids = [row.fulfillment_order_id for row in rows]
    lines = await work.tx.read(select(LINES).where(LINES.c.fulfillment_order_id.in_(ids)).order_by(LINES.c.line_id))
    return [OpenOrder(row, [line for line in lines if line.fulfillment_order_id == row.fulfillment_order_id]) for row in rows]
