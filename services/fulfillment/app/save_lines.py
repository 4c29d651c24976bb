"""Writing back fulfilment orders whose lines changed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, update

from chassis.runtime.work import Work
from services.fulfillment.domain.progress import Counts, derive
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES

NAMES = ("picked", "shorted", "shipped", "cancelled")


class OpenOrder:
    """A fulfilment order in memory: its row, its lines, and the lines' quantities as they change."""

    def __init__(self, row: Any, lines: Sequence[Any]) -> None:
        self.row = row
        self.lines = {line.line_id: line for line in lines}
        self.counts = {line.line_id: Counts(line.quantity, line.picked, line.shorted, line.shipped, line.cancelled) for line in lines}

    def add(self, line_id: str, **changes: int) -> None:
        """Adds to a line's quantities."""
        before = self.counts[line_id]
        self.counts[line_id] = before._replace(**{name: getattr(before, name) + value for name, value in changes.items()})


async def save(work: Work, orders: Sequence[OpenOrder]) -> None:
    """Writes quantities and derived statuses, two statements for all."""
    if not orders:
        return
    rows = [(order.row.fulfillment_order_id, int(derive(list(order.counts.values())))) for order in orders]
    new = work.tx.rows("new", {"fulfillment_order_id": str, "status": int}, rows)
    statement = update(FULFILLMENT_ORDERS).where(FULFILLMENT_ORDERS.c.fulfillment_order_id == new.c.fulfillment_order_id)
    await work.tx.write(statement.values(status=new.c.status, version=FULFILLMENT_ORDERS.c.version + 1))
    counts = [
        (order.row.fulfillment_order_id, line_id, *(getattr(own, name) for name in NAMES))
        for order in orders
        for line_id, own in order.counts.items()
    ]
    columns = {"fulfillment_order_id": str, "line_id": str, **dict.fromkeys(NAMES, int)}
    changed = work.tx.rows("changed", columns, counts)
    match = and_(LINES.c.fulfillment_order_id == changed.c.fulfillment_order_id, LINES.c.line_id == changed.c.line_id)
    await work.tx.write(update(LINES).where(match).values({name: changed.c[name] for name in NAMES}))
