"""RecallOrder: calls back what the locations have not shipped. What is gone is gone: the answer says how much was not."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_service_pb2
from chassis.kernel.clock import SECOND
from chassis.runtime.work import Work
from services.fulfillment.app.parcels.packing import hold_unwanted
from services.fulfillment.app.release_order import answer_within
from services.fulfillment.app.save_lines import OpenOrder
from services.fulfillment.app.settle import settle
from services.fulfillment.domain.progress import AGREED, Handshake
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES

Request = fulfillment_service_pb2.RecallOrderRequest
Response = fulfillment_service_pb2.RecallOrderResponse


async def recall_order(work: Work, request: Request) -> Response:
    """Answers with what will not ship, and with what locations that have accepted it are asked to give back."""
    orders = await _open_orders(work, request.order_id)
    seconds = await answer_within(work, sorted({order.row.location_id for order in orders if order.handshake in AGREED}))
    wanted = {line.line_id: line.quantity for line in request.lines}
    response = Response()
    changed = []
    for order in orders:
        within_s = seconds.get(order.row.location_id, 0) if order.handshake in AGREED else 0
        parts = _parts(order, wanted if request.lines else None)
        if parts and within_s:
            _ask_back(work, order, parts, request.reason, within_s)
            response.pending.extend(order.assignment(line_id, part) for line_id, part in parts.items())
        elif parts:
            _call_back(work, order, parts, request.reason)
            response.lines.extend(order.assignment(line_id, part) for line_id, part in parts.items())
        if parts:
            changed.append(order)
    await settle(work, changed)
    await hold_unwanted(work, changed)
    return response


def _parts(order: OpenOrder, wanted: dict[str, int] | None) -> dict[str, int]:
    """Returns what is to be called back of a fulfilment order, and counts it off what is wanted; all of it where that is None."""
    parts = {}
    for line_id, own in order.counts.items():
        free = own.left - own.recalling
        part = free if wanted is None else min(free, wanted.get(line_id, 0))
        if part:
            parts[line_id] = part
            if wanted is not None:
                wanted[line_id] -= part
    return parts


def _ask_back(work: Work, order: OpenOrder, parts: dict[str, int], reason: str, within_s: int) -> None:
    order.handshake, order.acknowledge_by = int(Handshake.CANCELLATION_REQUESTED), work.now + within_s * SECOND
    for line_id, part in parts.items():
        order.add(line_id, recalling=part)
    work.emit(_told(fulfillment_events_pb2.CancellationRequested, order, parts, reason))


def _call_back(work: Work, order: OpenOrder, parts: dict[str, int], reason: str) -> None:
    for line_id, part in parts.items():
        order.add(line_id, cancelled=part)
    work.emit(_told(fulfillment_events_pb2.FulfillmentOrderRecalled, order, parts, reason))


def _told(kind: type[Any], order: OpenOrder, parts: dict[str, int], reason: str) -> Any:
    return kind(
        fulfillment_order_id=order.row.fulfillment_order_id, order_id=order.row.order_id, location_id=order.row.location_id,
        reason=reason, lines=[order.assignment(line_id, part) for line_id, part in parts.items()],
    )  # fmt: skip


async def _open_orders(work: Work, order_id: str) -> Sequence[OpenOrder]:
    query = select(FULFILLMENT_ORDERS).where(FULFILLMENT_ORDERS.c.order_id == order_id).order_by(FULFILLMENT_ORDERS.c.fulfillment_order_id)
    rows = await work.tx.read(query.with_for_update())
    ids = [row.fulfillment_order_id for row in rows]
    lines = await work.tx.read(select(LINES).where(LINES.c.fulfillment_order_id.in_(ids)).order_by(LINES.c.line_id))
    return [OpenOrder(row, [line for line in lines if line.fulfillment_order_id == row.fulfillment_order_id]) for row in rows]
