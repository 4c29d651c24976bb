"""Keeps what stock must know of items: on ItemPublished and ItemRetired."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import update

from argosy.catalog.v1 import catalog_events_pb2
from chassis.kernel.clock import from_timestamp
from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.inventory.app.revalue import value_anew
from services.inventory.store.tables import ITEMS


async def on_item_published(work: Work, events: Sequence[Received]) -> None:
    """Keeps the items; stock whose valuation or standard cost changed is valued anew."""
    latest = {event.message.item_id: event for event in events}
    before = {row.item_id: row for row in await work.tx.find(ITEMS, ("item_id",), [(one,) for one in sorted(latest)])}
    rows = {item_id: _row(event.message) for item_id, event in latest.items()}
    await work.tx.merge(ITEMS, ("item_id",), list(rows.values()))
    changed = [item_id for item_id, row in rows.items() if item_id in before and _valued_differently(before[item_id], row)]
    if changed:
        await value_anew(work, {item_id: latest[item_id] for item_id in changed}, before)


def _valued_differently(before: Any, row: dict[str, Any]) -> bool:
    return any(getattr(before, name) != row[name] for name in ("valuation", "standard_cost_minor", "cost_currency_code"))


def _row(message: catalog_events_pb2.ItemPublished) -> dict[str, Any]:
    return {
        "item_id": message.item_id, "sku": message.sku, "standard_cost_minor": message.standard_cost_minor, "retired": 0,
        "cost_currency_code": message.cost_currency_code, "stock_unit": message.stock_unit or "EA", "weight_g": message.weight_g,
        "units": json.dumps({one.unit: [one.numerator, one.denominator or 1] for one in message.units}),
        "kit": json.dumps([[one.item_id, one.quantity] for one in message.components]) if message.components else "",
        "tracking": message.tracking or 1, "expires": int(message.expires), "min_life_days": message.min_life_days,
        "valuation": message.valuation or 1, "abc_class": message.abc_class or "C",
        "sellable_from": from_timestamp(message.sellable_from) if message.HasField("sellable_from") else 0,
        **_supply(message),
    }  # fmt: skip


def _supply(message: catalog_events_pb2.ItemPublished) -> dict[str, Any]:
    return {
        "supplier_id": message.supplier_id, "lead_time_days": message.lead_time_days, "pack_multiple": message.pack_multiple or 1,
        "minimum_order_quantity": message.minimum_order_quantity, "reorder_policy": message.reorder_policy,
    }  # fmt: skip


async def on_item_retired(work: Work, events: Sequence[Received]) -> None:
    """Marks the items."""
    ids = [event.message.item_id for event in events]
    await work.tx.write(update(ITEMS).where(ITEMS.c.item_id.in_(ids)).values(retired=1))
