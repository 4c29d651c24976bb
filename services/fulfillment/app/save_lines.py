"""Writing back fulfilment orders whose lines changed."""

from collections.abc import Sequence
from typing import Any

from argosy.fulfillment.v1 import fulfillment_pb2
from chassis.runtime.work import Work
from services.fulfillment.app.views import counts
from services.fulfillment.domain.progress import AGREED, Handshake, Status, derive
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES

NAMES = ("picked", "shorted", "shipped", "cancelled", "recalling")


class OpenOrder:
    """A fulfilment order in memory: its row, its lines, and the lines' quantities as they change."""

    def __init__(self, row: Any, lines: Sequence[Any]) -> None:
        self.row = row
        self.handshake = int(row.handshake)
        self.acknowledge_by = row.acknowledge_by
        self.refusal = str(row.refusal)
        self.ready_at = row.ready_at
        self.collect_by = row.collect_by
        self.lines = {line.line_id: line for line in lines}
        self.counts = {line.line_id: counts(line) for line in lines}

    def assignment(self, line_id: str, quantity: int) -> fulfillment_pb2.Assignment:
        """Returns units of a line here, as events tell them."""
        item_id = self.lines[line_id].item_id
        return fulfillment_pb2.Assignment(line_id=line_id, item_id=item_id, location_id=self.row.location_id, quantity=quantity)

    def work_on(self) -> None:
        """Who works on what it was told has accepted it."""
        if self.handshake == Handshake.SUBMITTED:
            self.handshake = int(Handshake.ACCEPTED)

    @property
    def left(self) -> int:
        """What can still ship."""
        return sum(own.left for own in self.counts.values())

    @property
    def status(self) -> Status:
        """How far it got."""
        return derive(list(self.counts.values()), pickup=bool(self.row.pickup), ready=self.ready_at is not None)

    def close(self) -> None:
        """Who has agreed, has shipped, and has nothing left to do, is done."""
        if self.handshake in AGREED and not self.left and any(own.shipped for own in self.counts.values()):
            self.handshake = int(Handshake.CLOSED)

    def shippable(self, line_id: str) -> int:
        """What may be in a parcel. Who is only told, and answers, may ship what was given up: what has left has left."""
        own = self.counts[line_id]
        return own.left if self.handshake == Handshake.NONE else own.quantity - own.shipped

    def ship(self, line_id: str, quantity: int) -> None:
        """Counts units as shipped: what is left, then what was called back, then what was not found."""
        own = self.counts[line_id]
        beyond = max(0, quantity - own.left)
        recalled = min(beyond, own.cancelled)
        self.add(line_id, shipped=quantity, cancelled=-recalled, shorted=recalled - beyond)

    def add(self, line_id: str, **changes: int) -> None:
        """Adds to a line's quantities."""
        before = self.counts[line_id]
        self.counts[line_id] = before._replace(**{name: getattr(before, name) + value for name, value in changes.items()})


async def open_orders(work: Work, ids: Sequence[str]) -> dict[str, OpenOrder]:
    """Returns fulfilment orders with their lines, locked, two queries for all; those that are not known are not in it."""
    key = ("fulfillment_order_id",)
    wanted = [(one,) for one in ids]
    rows = await work.tx.find(FULFILLMENT_ORDERS, key, wanted, order=key, lock=True)
    lines: dict[str, list[Any]] = {}
    for line in await work.tx.find(LINES, key, wanted, order=("line_id",)):
        lines.setdefault(line.fulfillment_order_id, []).append(line)
    return {row.fulfillment_order_id: OpenOrder(row, lines[row.fulfillment_order_id]) for row in rows}


async def save(work: Work, orders: Sequence[OpenOrder]) -> None:
    """Writes quantities, derived statuses and what locations say, two statements for all."""
    for order in orders:
        order.close()
    rows = [
        {
            "fulfillment_order_id": order.row.fulfillment_order_id, "status": int(order.status), "version": 1,
            "handshake": order.handshake, "refusal": order.refusal, "acknowledge_by": order.acknowledge_by,
            "ready_at": order.ready_at, "collect_by": order.collect_by,
        }
        for order in orders
    ]  # fmt: skip
    await work.tx.change(FULFILLMENT_ORDERS, ("fulfillment_order_id",), rows, add=("version",))
    lines = [
        {"fulfillment_order_id": order.row.fulfillment_order_id, "line_id": line_id, **{name: getattr(own, name) for name in NAMES}}
        for order in orders
        for line_id, own in order.counts.items()
    ]
    await work.tx.change(LINES, ("fulfillment_order_id", "line_id"), lines)
