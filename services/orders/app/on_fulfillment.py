"""Tells the orders' processes what happened in the locations, and marks parcels that arrived."""

from collections.abc import Sequence

from sqlalchemy import select, update

from chassis.kernel.clock import from_timestamp
from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.orders.domain.status import Status
from services.orders.process import fulfil_order
from services.orders.process.messages import NotCollected, Part, Ready, RecallAnswered, Rejected, Shipped, Shorted
from services.orders.store.tables import ORDERS, SHIPMENTS


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
    """A parcel left."""
    for event in events:
        work.deliver(fulfil_order.NAME, event.message.order_id, Shipped(event.message.shipment_id, _parts(event)))


async def on_delivered(work: Work, events: Sequence[Received]) -> None:
    """A parcel arrived; after the last one of an order that is shipped, the order is delivered."""
    shipments = sorted(event.message.shipment_id for event in events)
    orders = sorted({event.message.order_id for event in events})
    await work.tx.write(update(SHIPMENTS).where(SHIPMENTS.c.shipment_id.in_(shipments)).values(delivered=1))
    on_their_way = select(SHIPMENTS.c.order_id).where(SHIPMENTS.c.order_id == ORDERS.c.order_id, SHIPMENTS.c.delivered == 0)
    arrived = ORDERS.c.order_id.in_(orders), ORDERS.c.status == int(Status.SHIPPED), ~on_their_way.exists()
    await work.tx.write(update(ORDERS).where(*arrived).values(status=int(Status.DELIVERED), version=ORDERS.c.version + 1))


def _parts(event: Received) -> list[Part]:
    return [Part(line.line_id, event.message.location_id, line.quantity) for line in event.message.lines]
