"""The queries of fulfillment."""

from collections import defaultdict
from typing import Any

from google.protobuf.json_format import Parse
from sqlalchemy import select

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from services.fulfillment.app.views import load, to_fulfillment_order, to_shipment
from services.fulfillment.store.tables import DECISIONS, FULFILLMENT_ORDERS, LINES, SHIPMENT_LINES, SHIPMENTS


async def list_decisions(asked: Asked) -> fulfillment_service_pb2.ListDecisionsResponse:
    """Lists oldest first."""
    query = select(DECISIONS).where(DECISIONS.c.order_id == asked.request.order_id)
    rows, token = await page(asked.tx, query, [DECISIONS.c.decision_id], asked.request)
    decisions = [_decision(row) for row in rows]
    return fulfillment_service_pb2.ListDecisionsResponse(decisions=decisions, next_page_token=token)


def _decision(row: Any) -> fulfillment_pb2.Decision:
    return fulfillment_pb2.Decision.FromString(row.answer) if row.answer is not None else Parse(row.body, fulfillment_pb2.Decision())


async def get_fulfillment_order(asked: Asked) -> fulfillment_pb2.FulfillmentOrder:
    """Refusals: NO_SUCH_FULFILLMENT_ORDER."""
    return to_fulfillment_order(*await load(asked.tx, asked.request.fulfillment_order_id))


async def list_fulfillment_orders(asked: Asked) -> fulfillment_service_pb2.ListFulfillmentOrdersResponse:
    """Lists oldest first, with lines."""
    request = asked.request
    query = select(FULFILLMENT_ORDERS)
    for name, wanted in (("order_id", request.order_id), ("location_id", request.location_id), ("status", request.status)):
        if wanted:
            query = query.where(FULFILLMENT_ORDERS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [FULFILLMENT_ORDERS.c.fulfillment_order_id], request)
    lines: dict[str, list[Any]] = defaultdict(list)
    ids = [row.fulfillment_order_id for row in rows]
    for line in await asked.tx.read(select(LINES).where(LINES.c.fulfillment_order_id.in_(ids)).order_by(LINES.c.line_id)):
        lines[line.fulfillment_order_id].append(line)
    found = [to_fulfillment_order(row, lines[row.fulfillment_order_id]) for row in rows]
    return fulfillment_service_pb2.ListFulfillmentOrdersResponse(fulfillment_orders=found, next_page_token=token)


async def list_shipments(asked: Asked) -> fulfillment_service_pb2.ListShipmentsResponse:
    """Lists newest first."""
    query = select(SHIPMENTS)
    if asked.request.order_id:
        query = query.where(SHIPMENTS.c.order_id == asked.request.order_id)
    rows, token = await page(asked.tx, query, [SHIPMENTS.c.shipment_id], asked.request, descending=True)
    lines: dict[str, list[Any]] = defaultdict(list)
    for line in await asked.tx.read(select(SHIPMENT_LINES).where(SHIPMENT_LINES.c.shipment_id.in_([r.shipment_id for r in rows]))):
        lines[line.shipment_id].append(line)
    return fulfillment_service_pb2.ListShipmentsResponse(
        shipments=[to_shipment(row, lines[row.shipment_id]) for row in rows], next_page_token=token
    )
