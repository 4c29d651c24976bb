"""Tells the orders' processes what happened in the locations, and marks parcels that arrived."""

from collections.abc import Sequence

from chassis.kernel.clock import from_timestamp
from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.orders.domain.status import Status
from services.orders.process import fulfil_order
from services.orders.process.messages import NotCollected, Part, Ready, RecallAnswered, Rejected, Shipped, Shorted
from services.orders.store.tables import ORDERS, SHIPMENTS

ORDER = ("order_id",)


async def on_shorted(work: Work, events: Sequence[Received]) -> None:
    """Units were not found."""
    for event in events:
        work.deliver(fulfil_order.NAME, event.message.order_id, Shorted(_parts(event)))


async def on_rejected(work: Work, events: Sequence[Received]) -> None:
    """A location will not ship what it was told."""
    for event in events:
        text = f"{event.message.reason}: {event.message.detail}"
        work.deliver(fulfil_order.NAME, event.message.order_id, Rejected(_parts(event), text))


async def on_ready(work: Work, events: Sequence[Received]) -> None:
    """What a customer collects waits for them."""
    for event in events:
        collect_by = from_timestamp(event.message.collect_by)
        work.deliver(fulfil_order.NAME, event.message.order_id, Ready(_parts(event), collect_by))


async def on_pickup_expired(work: Work, events: Sequence[Received]) -> None:
    """A customer did not come in time."""
    for event in events:
        work.deliver(fulfil_order.NAME, event.message.order_id, NotCollected(_parts(event)))


async def on_cancellation_answered(work: Work, events: Sequence[Received]) -> None:
    """A location that was asked for something says what it gives back."""
    for event in events:
        message = event.message
        returned = [Part(line.line_id, line.location_id, line.quantity) for line in message.returned]
        kept = sum(line.quantity for line in message.kept)
        work.deliver(fulfil_order.NAME, message.order_id, RecallAnswered(returned, kept, message.reason))


async def on_shipped(work: Work, events: Sequence[Received]) -> None:
    """A parcel left. It is written down at once, so that its arrival finds it, even one that is told with it."""
    rows = [{"shipment_id": one.message.shipment_id, "order_id": one.message.order_id, "delivered": 0} for one in events]
    await work.tx.insert(SHIPMENTS, rows)
    for event in events:
        work.deliver(fulfil_order.NAME, event.message.order_id, Shipped(event.message.shipment_id, _parts(event)))


async def on_delivered(work: Work, events: Sequence[Received]) -> None:
    """A parcel arrived; after the last one of an order that is shipped, the order is delivered.

    One whose last units are still being counted or cancelled finds here what arrived: the order's row is waited for.
    """
    keys = sorted({(event.message.order_id,) for event in events})
    orders = await work.tx.find(ORDERS, ORDER, keys, only=("order_id", "status"), order=ORDER, lock=True)
    arrived = sorted({(event.message.shipment_id, event.message.order_id) for event in events})
    rows = [{"shipment_id": shipment_id, "order_id": order_id, "delivered": 1} for shipment_id, order_id in arrived]
    await work.tx.merge(SHIPMENTS, ("shipment_id",), rows)
    shipped = [row.order_id for row in orders if row.status == Status.SHIPPED]
    parcels = await work.tx.find(SHIPMENTS, ORDER, [(one,) for one in shipped], only=("order_id", "delivered"))
    on_their_way = {row.order_id for row in parcels if not row.delivered}
    there = [{"order_id": one, "status": int(Status.DELIVERED), "version": 1} for one in shipped if one not in on_their_way]
    await work.tx.change(ORDERS, ORDER, there, add=("version",))


def _parts(event: Received) -> list[Part]:
    return [Part(line.line_id, event.message.location_id, line.quantity) for line in event.message.lines]
