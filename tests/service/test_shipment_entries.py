"""A parcel's sale, cost and freight come from three services: one that lacks an entry is held until it has come."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import select, update

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import inventory_events_pb2
from argosy.orders.v1 import orders_events_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.inbox import Received
from chassis.runtime.work import Cause, Work
from services.finance.app.watch_shipments import WITHIN, hold_incomplete, note_parts
from services.finance.store.tables import CHASSIS, SHIPMENT_PARTS
from tests.service.conftest import Bench

CAUSE = Cause("test", "test", "test")


class Watch:
    """The watch over the entries of one parcel."""

    def __init__(self, component: Component) -> None:
        self._component = component

    async def hear(self, kind: type[Any]) -> None:
        async def note(work: Work) -> None:
            await note_parts(work, [Received(new_id(), kind(shipment_id="s-1"), work.now, work.cause)])

        await self._component.writer.run(note, CAUSE)

    async def wait(self, time: int) -> None:
        """Lets as much time pass for the parcel, and looks."""
        async with self._component.database.write() as tx:
            await tx.write(update(SHIPMENT_PARTS).values(first_at=SHIPMENT_PARTS.c.first_at - time))
        await self._component.writer.run(hold_incomplete, CAUSE)

    async def holds(self) -> list[tuple[str, bool]]:
        """Returns what the holds say, and whether each is open."""
        async with self._component.database.read() as tx:
            return [(row.detail, row.released_at is None) for row in await tx.read(select(CHASSIS.holds).order_by(CHASSIS.holds.c.hold_id))]


async def test_what_lacks_an_entry_is_held_once_and_until_it_has_come(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> None:
    watch = Watch(await started("finance"))
    await watch.hear(fulfillment_events_pb2.ShipmentShipped)
    await watch.wait(WITHIN - 1_000_000)
    assert await watch.holds() == []
    # The time counts from the first entry on, not from the last one.
    await watch.hear(orders_events_pb2.LinesShipped)
    await watch.wait(2_000_000)
    assert await watch.holds() == [("has no cost entry", True)]
    await watch.wait(WITHIN)
    assert await watch.holds() == [("has no cost entry", True)]
    await watch.hear(inventory_events_pb2.StockIssued)
    await watch.wait(0)
    assert await watch.holds() == [("has no cost entry", False)]
