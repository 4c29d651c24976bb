"""RecordTracking: what the carrier says. An older message never undoes a newer one, and nothing undoes DELIVERED but RETURNED."""

from sqlalchemy import select, update

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.clock import from_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.work import Work
from services.fulfillment.app.views import to_shipment
from services.fulfillment.store.tables import SHIPMENT_LINES, SHIPMENTS


async def record_tracking(work: Work, request: fulfillment_service_pb2.RecordTrackingRequest) -> fulfillment_pb2.Shipment:
    """Refusals: NO_SUCH_SHIPMENT."""
    query = select(SHIPMENTS).where(SHIPMENTS.c.shipment_id == request.shipment_id)
    rows = await work.tx.read(query.with_for_update())
    if not rows:
        raise NotFound("NO_SUCH_SHIPMENT", f"there is no shipment {request.shipment_id}", field="shipment_id")
    row = rows[0]
    at = from_timestamp(request.occurred_at) if request.HasField("occurred_at") else work.now
    downgrade = row.tracking_status == "DELIVERED" and request.status != "RETURNED"
    if at >= row.tracked_at and not downgrade:
        values = {"tracking_status": request.status, "tracked_at": at}
        if request.status == "DELIVERED":
            values["delivered_at"] = at
        await work.tx.write(update(SHIPMENTS).where(SHIPMENTS.c.shipment_id == row.shipment_id).values(**values))
        if request.status == "DELIVERED":
            work.emit(
                fulfillment_events_pb2.ShipmentDelivered(
                    fulfillment_order_id=row.fulfillment_order_id, shipment_id=row.shipment_id, order_id=row.order_id
                )
            )
    lines = await work.tx.read(select(SHIPMENT_LINES).where(SHIPMENT_LINES.c.shipment_id == row.shipment_id))
    return to_shipment((await work.tx.read(query))[0], lines)
