"""Rows of fulfillment as the contract shows them."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.tx import Tx
from services.fulfillment.domain.progress import Counts
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES


def to_fulfillment_order(row: Any, lines: Sequence[Any]) -> fulfillment_pb2.FulfillmentOrder:
    """Returns a fulfilment order with its lines."""
    return fulfillment_pb2.FulfillmentOrder(
        fulfillment_order_id=row.fulfillment_order_id, order_id=row.order_id, channel_id=row.channel_id,
        location_id=row.location_id, entity=row.entity, status=row.status, etag=str(row.version),
        destination=address_pb2.Destination(country_code=row.country_code, region=row.region, postal_prefix=row.postal_prefix),
        lines=[
            fulfillment_pb2.FulfillmentLine(
                line_id=line.line_id, item_id=line.item_id, sku=line.sku, quantity=line.quantity, picked=line.picked,
                shorted=line.shorted, shipped=line.shipped, cancelled=line.cancelled, recalling=line.recalling,
            )
            for line in lines
        ],
        created_at=to_timestamp(row.created_at), method=row.method, ship_by=_moment(row.ship_by), deliver_by=_moment(row.deliver_by),
        handshake=row.handshake, acknowledge_by=_moment(row.acknowledge_by), refusal=row.refusal,
        pickup=bool(row.pickup), ready_at=_moment(row.ready_at), collect_by=_moment(row.collect_by),
    )  # fmt: skip


def to_shipment(row: Any, lines: Sequence[Any]) -> fulfillment_pb2.Shipment:
    """Returns a shipment with what is in it."""
    return fulfillment_pb2.Shipment(
        shipment_id=row.shipment_id, fulfillment_order_id=row.fulfillment_order_id, order_id=row.order_id,
        location_id=row.location_id, carrier=row.carrier, service=row.service, tracking_number=row.tracking_number,
        tracking_status=row.tracking_status, freight_minor=row.freight_minor, currency_code=row.currency_code,
        lines=[fulfillment_pb2.ParcelLine(line_id=line.line_id, quantity=line.quantity) for line in lines],
        shipped_at=to_timestamp(row.shipped_at), delivered_at=_moment(row.delivered_at), reference=row.reference,
    )  # fmt: skip


def _moment(moment: int | None) -> Timestamp | None:
    return to_timestamp(moment) if moment is not None else None


def counts(line: Any) -> Counts:
    """Returns a line's quantities."""
    return Counts(line.quantity, line.picked, line.shorted, line.shipped, line.cancelled, line.recalling)


async def load(tx: Tx, fulfillment_order_id: str, *, lock: bool = False) -> tuple[Any, list[Any]]:
    """Returns a fulfilment order's row and its lines; raises NotFound."""
    query = select(FULFILLMENT_ORDERS).where(FULFILLMENT_ORDERS.c.fulfillment_order_id == fulfillment_order_id)
    rows = await tx.read(query.with_for_update() if lock else query)
    if not rows:
        raise NotFound("NO_SUCH_FULFILLMENT_ORDER", f"there is no fulfilment order {fulfillment_order_id}", field="fulfillment_order_id")
    lines = select(LINES).where(LINES.c.fulfillment_order_id == fulfillment_order_id).order_by(LINES.c.line_id)
    return rows[0], list(await tx.read(lines))
