"""Counts on the order's lines what came back: on ReturnReceived."""

from collections import Counter
from collections.abc import Sequence

from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.orders.store.tables import LINES


async def on_return_received(work: Work, events: Sequence[Received]) -> None:
    """Adds the units."""
    counts: Counter[str] = Counter()
    for event in events:
        for line in event.message.lines:
            counts[line.line_id] += line.stock_quantity
    rows = [{"line_id": line_id, "returned": quantity} for line_id, quantity in sorted(counts.items())]
    await work.tx.change(LINES, ("line_id",), rows, add=("returned",))
