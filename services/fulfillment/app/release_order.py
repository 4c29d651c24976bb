"""ReleaseOrder: gives what is reserved to the locations, one fulfilment order for each; many orders at once."""

from collections import defaultdict
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_service_pb2
from chassis.kernel.clock import SECOND
from chassis.kernel.errors import FailedPrecondition, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.fulfillment.app.nodes import kept_node
from services.fulfillment.app.views import to_fulfillment_order
from services.fulfillment.domain.progress import Handshake, Status
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES, NODES, PROMISES


async def release_orders(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its fulfilment orders, which keep what was promised, or a Refusal: CUSTOMS_DATA_MISSING."""
    promises = await _promises(work, sorted({call.request.order_id for call in calls}))
    seconds = await answer_within(work, sorted({line.location_id for call in calls for line in call.request.lines}))
    orders: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    outcomes: list[Outcome] = []
    for call in calls:
        work.cause = call.cause
        if isinstance(call.context, Refusal):
            outcomes.append(call.context)
            continue
        if call.context:
            outcomes.append(FailedPrecondition("CUSTOMS_DATA_MISSING", f"customs wants: {'; '.join(call.context)}", field="lines"))
            continue
        response = fulfillment_service_pb2.ReleaseOrderResponse()
        by_location = defaultdict(list)
        for line in call.request.lines:
            by_location[line.location_id].append(line)
        for location_id, own in sorted(by_location.items()):
            order = _order(work, call.request, location_id, promises.get((call.request.order_id, location_id)))
            if within_s := seconds.get(location_id):
                order |= {"handshake": int(Handshake.SUBMITTED), "acknowledge_by": work.now + within_s * SECOND}
            rows = _lines(order["fulfillment_order_id"], own)
            orders.append(order)
            lines += rows
            response.fulfillment_orders.append(to_fulfillment_order(SimpleNamespace(**order), [SimpleNamespace(**row) for row in rows]))
            work.emit(_event(order, rows))
        outcomes.append(response)
    await work.tx.insert(FULFILLMENT_ORDERS, orders)
    await work.tx.insert(LINES, lines)
    return outcomes


async def _promises(work: Work, order_ids: Sequence[str]) -> dict[tuple[str, str], Any]:
    rows = await work.tx.find(PROMISES, ("order_id",), [(one,) for one in order_ids])
    return {(row.order_id, row.location_id): row for row in rows}


async def answer_within(work: Work, location_ids: Sequence[str]) -> dict[str, int]:
    """Returns within how many seconds locations must answer; nothing of those that need not."""
    rows = await work.tx.find(NODES, ("location_id",), [(one,) for one in location_ids])
    return {row.location_id: kept_node(row.body).acknowledge_within_s for row in rows}


def _order(work: Work, request: fulfillment_service_pb2.ReleaseOrderRequest, location_id: str, promise: Any) -> dict[str, Any]:
    return {
        "fulfillment_order_id": new_id(), "order_id": request.order_id, "channel_id": request.channel_id,
        "location_id": location_id, "entity": request.entity, "currency_code": request.currency_code,
        "status": int(Status.RELEASED), "country_code": request.destination.country_code,
        "region": request.destination.region, "postal_prefix": request.destination.postal_prefix, "version": 1,
        "created_at": work.now, "handshake": int(Handshake.NONE), "acknowledge_by": None, "refusal": "",
        "pickup": int(request.pickup), "ready_at": None, "collect_by": None,
        "method": promise.method if promise is not None else "",
        **{name: getattr(promise, name, None) for name in ("ship_day", "ship_by", "deliver_by")},
    }  # fmt: skip


def _lines(fulfillment_order_id: str, given: Sequence[Any]) -> list[dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for line in given:
        row = merged.setdefault(
            line.line_id,
            {
                "fulfillment_order_id": fulfillment_order_id, "line_id": line.line_id, "item_id": line.item_id, "sku": line.sku,
                "weight_g": line.weight_g, "quantity": 0, "picked": 0, "shorted": 0, "shipped": 0, "cancelled": 0,
                "recalling": 0,
            },
        )  # fmt: skip
        row["quantity"] += line.quantity
    return list(merged.values())


def _event(order: dict[str, Any], rows: Sequence[dict[str, Any]]) -> fulfillment_events_pb2.FulfillmentOrderReleased:
    event = fulfillment_events_pb2.FulfillmentOrderReleased(
        fulfillment_order_id=order["fulfillment_order_id"], order_id=order["order_id"], location_id=order["location_id"]
    )
    for row in rows:
        event.lines.add(line_id=row["line_id"], item_id=row["item_id"], location_id=order["location_id"], quantity=row["quantity"])
    return event
