"""InspectReturn: judges received units and says what becomes of them; the refund of these units follows."""

from argosy.returns.v1 import returns_events_pb2, returns_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound, need_unchanged
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.returns.app.views import load, save, visible
from services.returns.process import settle_return

# disposition → (its name in events, the count that it adds to)
DISPOSITIONS = {1: ("RESTOCK", "restocked"), 2: ("QUARANTINE", "damaged"), 3: ("DAMAGED", "damaged"), 4: ("SCRAP", "scrapped")}


async def inspect_return(work: Work, request: returns_service_pb2.InspectReturnRequest) -> returns_service_pb2.Return:
    """Refusals: NO_SUCH_RETURN, ETAG_MISMATCH, NO_SUCH_LINE, NOT_RECEIVED."""
    row, found = await load(work.tx, request.return_id, lock=True)
    visible(work, row)
    need_unchanged(request.etag, row.version)
    lines = {line.line_id: dict(line._mapping) for line in found}
    event = returns_events_pb2.ReturnInspected(
        return_id=row.return_id, inspection_id=new_id(), order_id=row.order_id, channel_id=row.channel_id, location_id=row.location_id
    )
    judged = []
    for index, one in enumerate(request.lines):
        line = lines.get(one.line_id)
        if line is None:
            raise NotFound("NO_SUCH_LINE", f"the return has no line {one.line_id}", field=f"lines[{index}].line_id")
        left = line["received"] - line["restocked"] - line["damaged"] - line["scrapped"]
        if one.quantity > left:
            raise FailedPrecondition(
                "NOT_RECEIVED", f"only {left} of the line came in and wait to be judged", field=f"lines[{index}].quantity"
            )
        name, count = DISPOSITIONS[one.disposition]
        line[count] += one.quantity
        event.lines.add(
            line_id=one.line_id, item_id=line["item_id"], quantity=one.quantity, stock_quantity=one.quantity * line["units"],
            disposition=name,
        )  # fmt: skip
        judged.append(settle_return.Units(one.line_id, one.quantity))
    work.emit(event)
    work.deliver(settle_return.NAME, row.return_id, settle_return.Inspected(judged))
    return await save(work, row, list(lines.values()))
