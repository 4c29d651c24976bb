"""SetNode, SetTransit and their lists: when locations ship, and how long parcels are on their way."""

from functools import lru_cache
from typing import Any

from google.protobuf.json_format import MessageToJson, Parse
from sqlalchemy import select

from argosy.fulfillment.v1 import promise_service_pb2
from chassis.kernel.errors import InvalidArgument
from chassis.runtime.calendars import minutes_of, need_calendar, to_calendar
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.fulfillment.domain.calendar import Node, Transit
from services.fulfillment.store.tables import NODES, TRANSITS

TRANSIT_KEY = ("location_id", "country_code", "postal_prefix", "method")


async def set_node(work: Work, request: promise_service_pb2.SetNodeRequest) -> promise_service_pb2.Node:
    """Refusals: INVALID_FIELD, where the time zone, the country or an hour is none."""
    need_calendar(request.calendar)
    node = promise_service_pb2.Node(
        location_id=request.location_id, calendar=request.calendar, cut_off=request.cut_off, handling_days=request.handling_days,
        capacity_parcels=request.capacity_parcels, acknowledge_within_s=request.acknowledge_within_s, pickup_days=request.pickup_days,
    )  # fmt: skip
    body = MessageToJson(node, preserving_proto_field_name=True, indent=None)
    await work.tx.merge(NODES, ("location_id",), [{"location_id": node.location_id, "body": body}])
    return node


def node_of(message: promise_service_pb2.Node) -> Node:
    """Returns a node as decisions use it."""
    calendar, cut_off_min = to_calendar(message.calendar), minutes_of(message.cut_off)
    return Node(calendar, cut_off_min, message.handling_days, message.capacity_parcels, message.acknowledge_within_s, message.pickup_days)


@lru_cache(1000)
def kept_node(body: str) -> Node:
    """Returns a node as decisions use it, from what is kept; read once for each way in which it was set."""
    return node_of(Parse(body, promise_service_pb2.Node()))


def node_in(row: Any) -> promise_service_pb2.Node:
    """Returns a node as it was set."""
    return Parse(row.body, promise_service_pb2.Node())


async def list_nodes(asked: Asked) -> promise_service_pb2.ListNodesResponse:
    """Lists by location."""
    rows, token = await page(asked.tx, select(NODES), [NODES.c.location_id], asked.request)
    return promise_service_pb2.ListNodesResponse(nodes=map(node_in, rows), next_page_token=token)


async def set_transit(work: Work, request: promise_service_pb2.SetTransitRequest) -> promise_service_pb2.Transit:
    """Replaces the time of this way. Refusals: INVALID_FIELD where the least days are more than the most."""
    if request.least_days > request.most_days:
        text = f"least_days: {request.least_days} are more than the most, {request.most_days}"
        raise InvalidArgument("INVALID_FIELD", text, field="least_days")
    values = {name: getattr(request, name) for name in (*TRANSIT_KEY, "least_days", "most_days")}
    await work.tx.merge(TRANSITS, TRANSIT_KEY, [{**values, "saturdays": int(request.saturdays)}])
    return promise_service_pb2.Transit(**values, saturdays=request.saturdays)


def transit_of(row: Any) -> Transit:
    """Returns how long parcels are on their way."""
    return Transit(row.least_days, row.most_days, bool(row.saturdays))


async def list_transits(asked: Asked) -> promise_service_pb2.ListTransitsResponse:
    """Lists by location and destination."""
    rows, token = await page(asked.tx, select(TRANSITS), [TRANSITS.c[name] for name in TRANSIT_KEY], asked.request)
    found = [promise_service_pb2.Transit(**{**row._mapping, "saturdays": bool(row.saturdays)}) for row in rows]
    return promise_service_pb2.ListTransitsResponse(transits=found, next_page_token=token)
