"""RecordTracking, ListTracking: what carriers say of parcels, each thing once, in whatever order it is told.

The latest holds. An older message never undoes a newer one, and nothing undoes DELIVERED but RETURNED.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select, update

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import HoldKind, Work
from services.fulfillment.app.views import to_shipment
from services.fulfillment.domain.tracking import Told, latest
from services.fulfillment.store.parcels import TRACKING
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES, SHIPMENT_LINES, SHIPMENTS

HELD = {
    "RETURNED": HoldKind("RETURNED_TO_SENDER", "node", 24 * 3600, "operations"),
    "LOST": HoldKind("PARCEL_LOST", "node", 8 * 3600, "operations"),
}
KEY = ("shipment_id", "occurred_at", "status")


async def record_tracking(work: Work, request: fulfillment_service_pb2.RecordTrackingRequest) -> fulfillment_pb2.Shipment:
    """Refusals: NO_SUCH_SHIPMENT, INVALID_FIELD where nothing is said."""
    row = await _shipment(work, request)
    told = list(_told(request, work.now))
    if not told:
        raise InvalidArgument("INVALID_FIELD", "events: say what happened, or give a status", field="events")
    entries = {(one.at, one.status): one for one in told}
    rows = [
        {"shipment_id": row.shipment_id, "occurred_at": one.at, "status": one.status, "detail": one.detail, "place": one.place}
        for one in entries.values()
    ]
    if await work.tx.insert(TRACKING, rows, once=True):
        known = await work.tx.find(TRACKING, KEY[:1], [(row.shipment_id,)])
        # What holds by now counts too: of parcels that were followed before this was kept, nothing else is known.
        told_before = Told(row.tracking_status, row.tracked_at)
        now = latest([told_before, *(Told(one.status, one.occurred_at, one.detail, one.place) for one in known)])
        if now.status != row.tracking_status:
            await _tell(work, row, now)
        values: dict[str, Any] = {"tracking_status": now.status, "tracked_at": now.at}
        delivered = [one.occurred_at for one in known if one.status == "DELIVERED"]
        if delivered:
            values["delivered_at"] = min(delivered)
        await work.tx.write(update(SHIPMENTS).where(SHIPMENTS.c.shipment_id == row.shipment_id).values(**values))
    lines = await work.tx.read(select(SHIPMENT_LINES).where(SHIPMENT_LINES.c.shipment_id == row.shipment_id))
    return to_shipment((await work.tx.find(SHIPMENTS, KEY[:1], [(row.shipment_id,)]))[0], lines)


async def _shipment(work: Work, request: fulfillment_service_pb2.RecordTrackingRequest) -> Any:
    named = ("shipment_id", request.shipment_id) if request.shipment_id else ("tracking_number", request.tracking_number)
    rows: Sequence[Any] = await work.tx.find(SHIPMENTS, named[:1], [named[1:]], order=("shipped_at",), lock=True) if named[1] else ()
    own = [row for row in rows if request.carrier.casefold() in ("", row.carrier.casefold())]
    if not own:
        raise NotFound("NO_SUCH_SHIPMENT", f"there is no shipment {named[1] or 'without a number'}", field=named[0])
    # A number is used again after years: the last parcel is meant.
    return own[-1]


def _told(request: fulfillment_service_pb2.RecordTrackingRequest, now: int) -> Iterable[Told]:
    if request.status:
        yield Told(request.status, from_timestamp(request.occurred_at) if request.HasField("occurred_at") else now, request.detail)
    for one in request.events:
        yield Told(one.status, from_timestamp(one.occurred_at), one.detail, one.place)


async def _tell(work: Work, row: Any, now: Told) -> None:
    named = {"fulfillment_order_id": row.fulfillment_order_id, "shipment_id": row.shipment_id, "order_id": row.order_id}
    if row.tracking_status in HELD:
        await work.release_holds([(row.shipment_id, HELD[row.tracking_status].reason)], f"the carrier says {now.status}")
    if now.status == "DELIVERED":
        await _tell_delivered(work, row)
    elif now.status in HELD:
        work.emit(fulfillment_events_pb2.ShipmentFailed(**named, status=now.status, detail=now.detail))
        work.hold(HELD[now.status], "shipment", row.shipment_id, now.detail or f"the carrier says that the parcel is {now.status}")


async def _tell_delivered(work: Work, row: Any) -> None:
    key = (row.fulfillment_order_id,)
    (order,) = await work.tx.find(FULFILLMENT_ORDERS, ("fulfillment_order_id",), [key], only=("channel_id",))
    items = {line.line_id: line.item_id for line in await work.tx.find(LINES, ("fulfillment_order_id",), [key])}
    event = fulfillment_events_pb2.ShipmentDelivered(
        fulfillment_order_id=row.fulfillment_order_id, shipment_id=row.shipment_id, order_id=row.order_id, channel_id=order.channel_id,
        carrier=row.carrier, tracking_number=row.tracking_number,
    )  # fmt: skip
    for line in await work.tx.find(SHIPMENT_LINES, KEY[:1], [(row.shipment_id,)], order=("line_id",)):
        event.lines.add(line_id=line.line_id, item_id=items[line.line_id], location_id=row.location_id, quantity=line.quantity)
    work.emit(event)


async def list_tracking(asked: Asked) -> fulfillment_service_pb2.ListTrackingResponse:
    """Lists the oldest first."""
    query = select(TRACKING).where(TRACKING.c.shipment_id == asked.request.shipment_id)
    rows, token = await page(asked.tx, query, [TRACKING.c.occurred_at, TRACKING.c.status], asked.request)
    events = [
        fulfillment_service_pb2.TrackingEvent(
            status=row.status, occurred_at=to_timestamp(row.occurred_at), detail=row.detail, place=row.place
        )
        for row in rows
    ]
    return fulfillment_service_pb2.ListTrackingResponse(events=events, next_page_token=token)
