"""Counts on the order's lines what came back: on ReturnReceived."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import update

from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.orders.store.tables import LINES


async def on_return_received(work: Work, events: Sequence[Received]) -> None:
    """Adds the units."""
    counts: Counter[str] = Counter()
    for event in events:
        for line in event.message.lines:
            counts[line.line_id] += line.stock_quantity
    new = work.tx.rows("new", {"line_id": str, "quantity": int}, sorted(counts.items()))
    await work.tx.write(update(LINES).where(LINES.c.line_id == new.c.line_id).values(returned=LINES.c.returned + new.c.quantity))
