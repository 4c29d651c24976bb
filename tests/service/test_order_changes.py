"""What the process of an order changes, written for many messages at once."""

from collections.abc import Awaitable, Callable

from argosy.orders.v1 import changes_service_pb2, orders_service_pb2
from chassis.runtime.component import Component
from chassis.runtime.work import Cause, Work
from gateway.calls import Calls
from services.orders.app.apply_changes import apply_changes
from services.orders.process import messages as m
from services.orders.store.tables import CHANGES
from tests.builders import order
from tests.service.conftest import Bench

CAUSE = Cause("process:fulfil_order", "test", "test")


async def test_what_ships_as_a_change_is_refused_is_written(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> None:
    component, calls = await started("orders"), Calls(bench.channels)
    placed = await calls.orders.CreateOrder(order("W-1", 2))
    (line,) = placed.lines
    counts = {line.line_id: m.Counts(0, 0, 0, 2, 0, 0)}

    async def write(work: Work) -> None:
        work.causes[placed.order_id] = CAUSE
        row = {
            "change_id": "c-1", "order_id": placed.order_id, "status": changes_service_pb2.CHANGE_STATUS_PENDING, "reason": "moved",
            "asked_by": "test", "asked_at": work.now, "decided_at": None, "outcome": "", "body": "{}",
        }  # fmt: skip
        await work.tx.insert(CHANGES, [row])
        shipped = (m.BookShipment("s-1", [m.LineCount(line.line_id, 2)]), m.KeepQuantities(counts))
        await apply_changes(work, [(placed.order_id, one) for one in (*shipped, m.SettleChange("c-1", "2 units have shipped since"))])

    await component.writer.run(write, CAUSE)
    found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))
    assert (found.lines[0].shipped, found.lines[0].reserved) == (2, 0)
