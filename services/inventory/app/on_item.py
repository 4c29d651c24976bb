"""Keeps what stock must know of items: on ItemPublished and ItemRetired."""

from collections.abc import Sequence

from sqlalchemy import update

from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.inventory.store.tables import ITEMS


async def on_item_published(work: Work, events: Sequence[Received]) -> None:
    """Keeps the items."""
    rows = [
        {"item_id": e.message.item_id, "sku": e.message.sku, "standard_cost_minor": e.message.standard_cost_minor, "retired": 0}
        for e in events
    ]
    await work.tx.merge(ITEMS, ("item_id",), rows)


async def on_item_retired(work: Work, events: Sequence[Received]) -> None:
    """Marks the items."""
    ids = [event.message.item_id for event in events]
    await work.tx.write(update(ITEMS).where(ITEMS.c.item_id.in_(ids)).values(retired=1))
