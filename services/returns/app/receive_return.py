"""ReceiveReturn: says what came in, which may be less than was authorised."""

from argosy.returns.v1 import returns_events_pb2, returns_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound, need_unchanged
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.returns.app.views import load, save, visible
from services.returns.domain.judgement import Status

OPEN = {Status.AUTHORIZED, Status.IN_TRANSIT, Status.RECEIVED, Status.DISPOSITIONED}


async def receive_return(work: Work, request: returns_service_pb2.ReceiveReturnRequest) -> returns_service_pb2.Return:
    """Refusals: NO_SUCH_RETURN, ETAG_MISMATCH, NOT_OPEN, NO_SUCH_LINE, MORE_THAN_AUTHORISED."""
    row, found = await load(work.tx, request.return_id, lock=True)
    visible(work, row)
    need_unchanged(request.etag, row.version)
    if row.status not in OPEN:
        raise FailedPrecondition("NOT_OPEN", f"the return is {Status(row.status).name}; nothing can be received for it")
    lines = {line.line_id: dict(line._mapping) for line in found}
    event = returns_events_pb2.ReturnReceived(
        return_id=row.return_id, receipt_id=new_id(), order_id=row.order_id, channel_id=row.channel_id, location_id=row.location_id
    )
    for index, came in enumerate(request.lines):
        line = lines.get(came.line_id)
        if line is None:
            raise NotFound("NO_SUCH_LINE", f"the return has no line {came.line_id}", field=f"lines[{index}].line_id")
        left = line["quantity"] - line["received"]
        if came.quantity > left:
            raise FailedPrecondition("MORE_THAN_AUTHORISED", f"only {left} more may come of the line", field=f"lines[{index}].quantity")
        line["received"] += came.quantity
        event.lines.add(line_id=came.line_id, item_id=line["item_id"], quantity=came.quantity, stock_quantity=came.quantity * line["units"])
    work.emit(event)
    return await save(work, row, list(lines.values()), request.reference)
