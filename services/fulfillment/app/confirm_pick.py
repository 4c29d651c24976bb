"""ConfirmPick: says what was found; what was not is short, told to the others, and sourced again."""

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound, need_unchanged
from chassis.runtime.work import Work
from services.fulfillment.app.save_lines import OpenOrder
from services.fulfillment.app.settle import settle
from services.fulfillment.app.views import load, to_fulfillment_order


async def confirm_pick(work: Work, request: fulfillment_service_pb2.ConfirmPickRequest) -> fulfillment_pb2.FulfillmentOrder:
    """Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, NO_SUCH_LINE, NOTHING_LEFT."""
    order = OpenOrder(*await load(work.tx, request.fulfillment_order_id, lock=True))
    need_unchanged(request.etag, order.row.version)
    order.work_on()
    event = fulfillment_events_pb2.PickShorted(
        fulfillment_order_id=order.row.fulfillment_order_id, order_id=order.row.order_id, location_id=order.row.location_id
    )
    for index, line in enumerate(request.lines):
        own = order.counts.get(line.line_id)
        if own is None:
            raise NotFound("NO_SUCH_LINE", f"the fulfilment order has no line {line.line_id}", field=f"lines[{index}].line_id")
        if line.picked + line.shorted > own.to_pick:
            raise FailedPrecondition("NOTHING_LEFT", f"of the line {own.to_pick} are left to pick", field=f"lines[{index}].picked")
        order.add(line.line_id, picked=line.picked, shorted=line.shorted)
        if line.shorted:
            item_id = order.lines[line.line_id].item_id
            event.lines.add(line_id=line.line_id, item_id=item_id, location_id=order.row.location_id, quantity=line.shorted)
    if event.lines:
        work.emit(event)
    await settle(work, [order])
    return to_fulfillment_order(*await load(work.tx, request.fulfillment_order_id))
