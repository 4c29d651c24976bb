"""GetAvailability: what can be promised of items, per location and for a channel. The one function for all who ask."""

from collections import defaultdict
from typing import Any

from sqlalchemy import and_, func, or_, select

from argosy.inventory.v1 import stock_service_pb2
from chassis.runtime.database import Tx
from chassis.runtime.pipeline import Asked
from services.inventory.domain.stock import SOURCED_KINDS, State, available_to_promise, available_to_sell
from services.inventory.store.tables import BALANCES, LOCATIONS, POLICIES


async def get_availability(asked: Asked) -> stock_service_pb2.GetAvailabilityResponse:
    """Answers each item with its locations; three queries however many items."""
    request = asked.request
    item_ids = sorted(set(request.item_ids))
    locations = {row.location_id: row for row in await asked.tx.read(select(LOCATIONS))}
    available = await _available(asked.tx, item_ids)
    safety, buffers = await _policies(asked.tx, item_ids, request.channel_id)
    response = stock_service_pb2.GetAvailabilityResponse()
    for item_id in request.item_ids:
        answer = response.items.add(item_id=item_id)
        promisable = {}
        for location_id, quantity in available[item_id].items():
            location = locations[location_id]
            if location.kind not in SOURCED_KINDS:
                continue
            promisable[location_id] = available_to_promise(quantity, safety.get((item_id, location_id), 0))
            answer.locations.add(
                location_id=location_id, kind=location.kind, country_code=location.country_code, entity=location.entity,
                postal_prefix=location.postal_prefix, available_to_promise=promisable[location_id],
            )  # fmt: skip
        buffer, share = buffers.get(item_id, buffers.get("", (0, 100)))
        answer.available_to_sell = available_to_sell(promisable, buffer, share)
    return response


async def _available(tx: Tx, item_ids: list[str]) -> dict[str, dict[str, int]]:
    wanted = tx.rows("wanted", {"item_id": str}, [(one,) for one in item_ids])
    match = and_(BALANCES.c.item_id == wanted.c.item_id, BALANCES.c.state == int(State.AVAILABLE))
    total = func.sum(BALANCES.c.quantity)
    query = select(BALANCES.c.item_id, BALANCES.c.location_id, total).where(match)
    query = query.group_by(BALANCES.c.item_id, BALANCES.c.location_id).order_by(BALANCES.c.location_id)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for item_id, location_id, quantity in await tx.read(query):
        found[item_id][location_id] = int(quantity)
    return found


async def _policies(tx: Tx, item_ids: list[str], channel_id: str) -> tuple[dict[Any, int], dict[str, tuple[int, int]]]:
    wanted = tx.rows("wanted", {"item_id": str}, [*((one,) for one in item_ids), ("",)])
    whose = or_(POLICIES.c.channel_id == "", POLICIES.c.channel_id == channel_id)
    rows = await tx.read(select(POLICIES).where(POLICIES.c.item_id == wanted.c.item_id, whose))
    safety = {(row.item_id, row.location_id): row.quantity for row in rows if not row.channel_id}
    buffers = {row.item_id: (row.quantity, row.share_percent) for row in rows if row.channel_id}
    return safety, buffers
