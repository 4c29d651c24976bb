"""Accept, Reject, AcceptCancellation, RejectCancellation: what a location says of what it was told, and what follows from its silence."""

from sqlalchemy import select

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound, need_unchanged
from chassis.runtime.statements import NOW
from chassis.runtime.work import Work
from services.fulfillment.app.parcels.packing import hold_unwanted
from services.fulfillment.app.save_lines import OpenOrder, open_orders
from services.fulfillment.app.settle import answer, settle
from services.fulfillment.app.views import load, to_fulfillment_order
from services.fulfillment.domain.progress import Handshake
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, UNANSWERED

AT_ONCE = 200
SILENT = select(FULFILLMENT_ORDERS.c.fulfillment_order_id).where(UNANSWERED, FULFILLMENT_ORDERS.c.acknowledge_by < NOW)
NO_ANSWER = "the location did not answer in time"
Order = fulfillment_pb2.FulfillmentOrder


async def accept(work: Work, request: fulfillment_service_pb2.AcceptFulfillmentOrderRequest) -> Order:
    """Said again, it changes nothing. Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, REJECTED_ALREADY."""
    order = await _open(work, request.fulfillment_order_id, request.etag)
    _need_not_rejected(order)
    if order.handshake in (Handshake.NONE, Handshake.SUBMITTED):
        order.handshake = int(Handshake.ACCEPTED)
    return await _answered(work, order)


async def reject(work: Work, request: fulfillment_service_pb2.RejectFulfillmentOrderRequest) -> Order:
    """What it shipped stays shipped. Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, REJECTED_ALREADY, NOTHING_LEFT."""
    order = await _open(work, request.fulfillment_order_id, request.etag)
    _need_not_rejected(order)
    if not order.left:
        raise FailedPrecondition("NOTHING_LEFT", "nothing of this fulfilment order is left to ship", field="fulfillment_order_id")
    # Who ships nothing gives back all that was asked for.
    answer(work, order, _asked_back(order), {}, request.reason)
    _give_up(work, order, "REJECTED", request.reason)
    return await _answered(work, order)


async def accept_cancellation(work: Work, request: fulfillment_service_pb2.AcceptCancellationRequest) -> Order:
    """Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, NOT_ASKED_BACK, NO_SUCH_LINE."""
    order = await _open(work, request.fulfillment_order_id, request.etag)
    asked = _need_asked_back(order)
    returned = {} if request.lines else dict(asked)
    for index, line in enumerate(request.lines):
        if line.line_id not in order.counts:
            raise NotFound("NO_SUCH_LINE", f"the fulfilment order has no line {line.line_id}", field=f"lines[{index}].line_id")
        returned[line.line_id] = returned.get(line.line_id, 0) + line.quantity
        if returned[line.line_id] > asked.get(line.line_id, 0):
            text = f"of the line {asked.get(line.line_id, 0)} are asked back"
            raise FailedPrecondition("NOT_ASKED_BACK", text, field=f"lines[{index}].quantity")
    kept = {line_id: quantity - returned.get(line_id, 0) for line_id, quantity in asked.items() if quantity > returned.get(line_id, 0)}
    answer(work, order, returned, kept, "")
    return await _answered(work, order)


async def reject_cancellation(work: Work, request: fulfillment_service_pb2.RejectCancellationRequest) -> Order:
    """Refusals: NO_SUCH_FULFILLMENT_ORDER, ETAG_MISMATCH, NOT_ASKED_BACK."""
    order = await _open(work, request.fulfillment_order_id, request.etag)
    answer(work, order, {}, _need_asked_back(order), request.reason)
    return await _answered(work, order)


async def give_up_on_the_silent(work: Work) -> None:
    """Takes from locations what they have not answered for in time; what they have accepted, and are silent about, they ship."""
    rows = await work.tx.read(SILENT.order_by(FULFILLMENT_ORDERS.c.acknowledge_by).limit(AT_ONCE), {"now": work.now})
    found = await open_orders(work, [row.fulfillment_order_id for row in rows])
    silent = [order for order in found.values() if order.handshake in (Handshake.SUBMITTED, Handshake.CANCELLATION_REQUESTED)]
    for order in silent:
        if order.handshake == Handshake.CANCELLATION_REQUESTED:
            answer(work, order, {}, _asked_back(order), NO_ANSWER)
        elif order.left:
            _give_up(work, order, "NO_ACK", NO_ANSWER)
        else:
            # It was called back before: there is nothing to answer any more.
            order.handshake = int(Handshake.NONE)
    await settle(work, silent)
    await hold_unwanted(work, silent)


async def _open(work: Work, fulfillment_order_id: str, etag: str) -> OpenOrder:
    order = OpenOrder(*await load(work.tx, fulfillment_order_id, lock=True))
    need_unchanged(etag, order.row.version)
    return order


async def _answered(work: Work, order: OpenOrder) -> Order:
    await settle(work, [order])
    await hold_unwanted(work, [order])
    return to_fulfillment_order(*await load(work.tx, order.row.fulfillment_order_id))


def _need_not_rejected(order: OpenOrder) -> None:
    if order.handshake == Handshake.REJECTED:
        text = f"it is sourced elsewhere since: {order.refusal}"
        raise FailedPrecondition("REJECTED_ALREADY", text, field="fulfillment_order_id")


def _asked_back(order: OpenOrder) -> dict[str, int]:
    return {line_id: own.recalling for line_id, own in order.counts.items() if own.recalling}


def _need_asked_back(order: OpenOrder) -> dict[str, int]:
    asked = _asked_back(order)
    if not asked:
        text = "the location is not asked to give anything back; reject the fulfilment order to ship none of it"
        raise FailedPrecondition("NOT_ASKED_BACK", text, field="fulfillment_order_id")
    return asked


def _give_up(work: Work, order: OpenOrder, reason: str, detail: str) -> None:
    order.handshake, order.refusal = int(Handshake.REJECTED), detail
    event = fulfillment_events_pb2.FulfillmentOrderRejected(
        fulfillment_order_id=order.row.fulfillment_order_id, order_id=order.row.order_id, location_id=order.row.location_id,
        reason=reason, detail=detail,
    )  # fmt: skip
    for line_id, own in sorted(order.counts.items()):
        if own.left:
            event.lines.append(order.assignment(line_id, own.left))
            order.add(line_id, cancelled=own.left)
    if event.lines:
        work.emit(event)
