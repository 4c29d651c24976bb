"""Tells the orders' processes what inventory did by itself: supply came, or a more urgent order took over."""

from collections.abc import Sequence

from chassis.kernel.clock import from_timestamp
from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.orders.process import fulfil_order
from services.orders.process.messages import Part, StockTaken, SupplyCame, SupplyDated


async def on_demand_filled(work: Work, events: Sequence[Received]) -> None:
    """What waited is reserved."""
    for event in events:
        work.deliver(fulfil_order.NAME, event.message.order_id, SupplyCame(_parts(event)))


async def on_demand_promised(work: Work, events: Sequence[Received]) -> None:
    """Supply is expected at another time."""
    for event in events:
        message = event.message
        promised_at = from_timestamp(message.promised_at) if message.HasField("promised_at") else None
        work.deliver(fulfil_order.NAME, message.order_id, SupplyDated(message.line_id, promised_at))


async def on_reservation_taken(work: Work, events: Sequence[Received]) -> None:
    """What was reserved waits again."""
    for event in events:
        work.deliver(
            fulfil_order.NAME, event.message.order_id, StockTaken(_parts(event), event.message.taken_by, event.message.blocked_lot)
        )


def _parts(event: Received) -> list[Part]:
    return [Part(line.line_id, event.message.location_id, line.quantity) for line in event.message.lines]
