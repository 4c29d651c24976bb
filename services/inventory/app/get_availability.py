"""GetAvailability: what can be promised of items, per location and for a channel. The one function for all who ask."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from argosy.inventory.v1 import stock_service_pb2
from chassis.runtime.database import Tx
from chassis.runtime.pipeline import Asked
from services.inventory.domain.stock import SOURCED_KINDS, State, available_to_promise, available_to_sell
from services.inventory.store.tables import BALANCES, LOCATIONS, POLICIES

AVAILABLE = (BALANCES.c.state == int(State.AVAILABLE),)


async def get_availability(asked: Asked) -> stock_service_pb2.GetAvailabilityResponse:
    """Answers each item with its locations."""
    items = await availability(asked.tx, asked.request.item_ids, asked.request.channel_id)
    return stock_service_pb2.GetAvailabilityResponse(items=items)


async def availability(tx: Tx, wanted: Sequence[str], channel_id: str) -> list[stock_service_pb2.ItemAvailability]:
    """Returns what can be promised of each item, in the order asked; three queries however many items."""
    item_ids = sorted(set(wanted))
    locations = {row.location_id: row for row in await tx.read(select(LOCATIONS))}
    available = await _available(tx, item_ids)
    safety, buffers = await _policies(tx, item_ids, channel_id)
    answers = []
    for item_id in wanted:
        answer = stock_service_pb2.ItemAvailability(item_id=item_id)
        answers.append(answer)
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
    return answers


async def _available(tx: Tx, item_ids: list[str]) -> dict[str, Counter[str]]:
    names = ("item_id", "location_id", "quantity")
    keys = [(one,) for one in item_ids]
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for item_id, location_id, quantity in await tx.find(BALANCES, names[:1], keys, only=names, where=AVAILABLE, order=names[1:2]):
        found[item_id][location_id] += quantity
    return found


async def _policies(tx: Tx, item_ids: list[str], channel_id: str) -> tuple[dict[Any, int], dict[str, tuple[int, int]]]:
    keys = [(channel, item) for channel in {"", channel_id} for item in (*item_ids, "")]
    rows = await tx.find(POLICIES, ("channel_id", "item_id"), keys)
    safety = {(row.item_id, row.location_id): row.quantity for row in rows if not row.channel_id}
    buffers = {row.item_id: (row.quantity, row.share_percent) for row in rows if row.channel_id}
    return safety, buffers
