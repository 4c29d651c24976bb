"""Writes fulfilment orders that changed, with all that follows: what a location was asked back and is gone, and its picks."""

from collections.abc import Sequence

from argosy.fulfillment.v1 import fulfillment_events_pb2
from chassis.runtime.work import Work
from services.fulfillment.app.save_lines import OpenOrder, save
from services.fulfillment.app.warehouse.settle_picks import settle_picks
from services.fulfillment.domain.progress import Handshake


async def settle(work: Work, orders: Sequence[OpenOrder]) -> None:
    """Call it after the events that say what changed: what follows is told after them."""
    for order in orders:
        _answer_for_what_is_gone(work, order)
    await save(work, orders)
    await settle_picks(work, orders)


def answer(work: Work, order: OpenOrder, returned: dict[str, int], kept: dict[str, int], reason: str) -> None:
    """Says what becomes of units that a location was asked to give back; what it returns will not ship."""
    named = {
        "fulfillment_order_id": order.row.fulfillment_order_id, "order_id": order.row.order_id, "location_id": order.row.location_id,
        "reason": reason,
    }  # fmt: skip
    recalled = fulfillment_events_pb2.FulfillmentOrderRecalled(**named)
    answered = fulfillment_events_pb2.CancellationAnswered(**named)
    for line_id, quantity in sorted(returned.items()):
        order.add(line_id, cancelled=quantity, recalling=-quantity)
        recalled.lines.append(order.assignment(line_id, quantity))
    for line_id, quantity in sorted(kept.items()):
        order.add(line_id, recalling=-quantity)
        answered.kept.append(order.assignment(line_id, quantity))
    answered.returned.extend(recalled.lines)
    if not any(own.recalling for own in order.counts.values()):
        order.handshake = int(Handshake.CANCELLATION_ACCEPTED if returned else Handshake.CANCELLATION_REJECTED)
    if recalled.lines:
        work.emit(recalled)
    if answered.returned or answered.kept:
        work.emit(answered)


def _answer_for_what_is_gone(work: Work, order: OpenOrder) -> None:
    gone = {line_id: own.recalling - own.left for line_id, own in order.counts.items() if own.recalling > own.left}
    if gone:
        answer(work, order, {}, gone, "it has shipped, or was not found")
