"""CancelOrder: asks the order's process to cancel; what is with a warehouse is asked back first."""

from sqlalchemy import select

from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound, need_unchanged
from chassis.runtime.work import Work
from services.orders.app.views import load, visible, whole
from services.orders.process import fulfil_order
from services.orders.process.messages import CancelRequested, LineCount
from services.orders.store.tables import LINES


async def cancel_order(work: Work, request: orders_service_pb2.CancelOrderRequest) -> order_pb2.Order:
    """Refusals: NO_SUCH_ORDER, ETAG_MISMATCH, NO_SUCH_LINE, NOTHING_TO_CANCEL."""
    row = await load(work.tx, request.order_id, lock=True)
    visible(work, row.channel_id)
    need_unchanged(request.etag, row.version)
    lines = {line.line_id: line for line in await work.tx.read(select(LINES).where(LINES.c.order_id == request.order_id))}
    counts = []
    for index, wanted in enumerate(request.lines):
        if wanted.line_id not in lines:
            raise NotFound("NO_SUCH_LINE", f"the order has no line {wanted.line_id}", field=f"lines[{index}].line_id")
        line = lines[wanted.line_id]
        left = (line.waiting + line.reserved) // line.units
        if wanted.quantity > left:
            raise FailedPrecondition(
                "NOTHING_TO_CANCEL", f"only {left} of the line can still be cancelled", field=f"lines[{index}].quantity"
            )
        counts.append(LineCount(wanted.line_id, wanted.quantity * line.units))
    if not any(line.waiting + line.reserved for line in lines.values()):
        raise FailedPrecondition("NOTHING_TO_CANCEL", "all of the order has shipped or is cancelled; return what shipped", field="order_id")
    work.deliver(fulfil_order.NAME, request.order_id, CancelRequested(counts, request.reason))
    return await whole(work.tx, request.order_id)
