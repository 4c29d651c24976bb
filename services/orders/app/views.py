"""Rows of orders as the contract shows them. Lines are shown in the channel's units."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from argosy.common.v1 import address_pb2
from argosy.orders.v1 import order_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.pipeline import Asked, Looking
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.orders.store.tables import LINES, ORDERS, TENDERS


def to_header(row: Any) -> order_pb2.Order:
    """Returns an order without lines and tenders."""
    return order_pb2.Order(
        order_id=row.order_id, channel_id=row.channel_id, external_order_id=row.external_order_id,
        customer_id=row.customer_id, status=row.status, currency_code=row.currency_code, entity=row.entity,
        destination=to_destination(row), shipping_minor=row.shipping_minor, shipping_tax_minor=row.shipping_tax_minor,
        total_minor=row.total_minor, captured_minor=row.captured_minor, refunded_minor=row.refunded_minor,
        shortage_policy=row.shortage_policy, etag=str(row.version), placed_at=to_timestamp(row.placed_at),
        created_at=to_timestamp(row.created_at), shipping_method=row.shipping_method, language=row.language,
        pickup_location_id=row.pickup_location_id,
        ship_by=to_timestamp(row.ship_by) if row.ship_by is not None else None, hints=row.hints.split(",") if row.hints else [],
        promised_by=to_timestamp(row.promised_by) if row.promised_by is not None else None,
        expected_by=to_timestamp(row.expected_by) if row.expected_by is not None else None,
    )  # fmt: skip


def to_destination(row: Any) -> address_pb2.Destination:
    """Returns where an order goes, coarsely."""
    return address_pb2.Destination(country_code=row.country_code, region=row.region, postal_prefix=row.postal_prefix)


def to_line(row: Any) -> order_pb2.OrderLine:
    """Returns a line; what its units do not divide counts as reserved."""
    units = row.units or 1
    counts = {
        name: getattr(row, name) // units for name in ("ordered", "waiting", "backordered", "shipped", "cancelled", "returned", "refunded")
    }
    return order_pb2.OrderLine(
        line_id=row.line_id, external_line_id=row.external_line_id,
        channel_sku=row.channel_sku, item_id=row.item_id, sku=row.sku, units=units,
        reserved=counts["ordered"] - counts["waiting"] - counts["shipped"] - counts["cancelled"],
        released=row.released // units, amount_minor=row.amount_minor, discount_minor=row.discount_minor,
        tax_minor=row.tax_minor, shipped_at=to_timestamp(row.shipped_at) if row.shipped_at is not None else None,
        sellable_from=to_timestamp(row.sellable_from) if row.sellable_from else None, **counts,
    )  # fmt: skip


def to_tender(row: Any) -> order_pb2.Tender:
    """Returns a tender."""
    return order_pb2.Tender(
        tender_id=row.tender_id, method=row.method, adapter=row.adapter, state=row.state, amount_minor=row.amount_minor,
        captured_minor=row.captured_minor, refunded_minor=row.refunded_minor, reference=row.reference,
        expires_at=to_timestamp(row.expires_at) if row.expires_at is not None else None, capturing_minor=row.capturing_minor,
    )  # fmt: skip


def to_order(row: Any, lines: Sequence[Any], tenders: Sequence[Any]) -> order_pb2.Order:
    """Returns a whole order."""
    order = to_header(row)
    order.lines.extend(to_line(line) for line in lines)
    order.tenders.extend(to_tender(tender) for tender in tenders)
    return order


def to_address(text: str) -> address_pb2.Address:
    """Returns the address that an order goes to."""
    return address_pb2.Address(**json.loads(text))


def visible(asked: Asked | Looking | Work, channel_id: str) -> None:
    """What is foreign does not exist, neither to be read nor to be changed."""
    if asked.principal is not None and not asked.principal.sees(channel_id):
        raise NotFound("NO_SUCH_ORDER", "there is no such order", field="order_id")


async def load(tx: Tx, order_id: str, *, lock: bool = False) -> Any:
    """Returns an order's row; raises NotFound."""
    query = select(ORDERS).where(ORDERS.c.order_id == order_id)
    rows = await tx.read(query.with_for_update() if lock else query)
    if not rows:
        raise NotFound("NO_SUCH_ORDER", f"there is no order {order_id}", field="order_id")
    return rows[0]


async def whole(tx: Tx, order_id: str) -> order_pb2.Order:
    """Returns an order with lines and tenders; raises NotFound."""
    row = await load(tx, order_id)
    lines = await tx.read(select(LINES).where(LINES.c.order_id == order_id).order_by(LINES.c.position))
    tenders = await tx.read(select(TENDERS).where(TENDERS.c.order_id == order_id).order_by(TENDERS.c.tender_id))
    return to_order(row, lines, tenders)
