"""ResolveLines: what channels' SKUs mean, for many orders in two queries.

A SKU means what the channel's listing says; where it has none, the item of that SKU, one for one. Only published items
are sold, and nothing whose listing has ended. Tax class and list price are those in force when the order was placed.
"""

from functools import cache
from typing import Any

from sqlalchemy import Executable, and_, or_, select

from argosy.catalog.v1 import items_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import InvalidArgument
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import Kinds, given, parameters
from chassis.runtime.tx import Tx
from services.catalog.app.completeness import ENDED
from services.catalog.app.item_view import tax_class_at
from services.catalog.domain.item import Lifecycle
from services.catalog.domain.pricing import price_in_force
from services.catalog.store.tables import ITEMS, LISTINGS, PRICES

Key = tuple[str, str]
WANTED: Kinds = (("channel_id", str), ("channel_sku", str), ("sku", str))


async def resolve_lines(asked: Asked) -> items_service_pb2.ResolveLinesResponse:
    """Answers each SKU of each order; an unknown one has no item_id. Refusals: QUANTITIES_DIFFER."""
    for index, order in enumerate(asked.request.orders):
        if order.quantities and len(order.quantities) != len(order.channel_skus):
            field = f"orders[{index}].quantities"
            raise InvalidArgument("QUANTITIES_DIFFER", f"{field}: name one for each SKU, or none", field=field)
    keys = sorted({(order.channel_id, sku) for order in asked.request.orders for sku in order.channel_skus})
    found = await _items(asked.tx, keys)
    prices = await _prices(asked.tx, sorted({item.item_id for item, _ in found.values()}))
    response = items_service_pb2.ResolveLinesResponse()
    for order in asked.request.orders:
        resolved = response.orders.add()
        moment = from_timestamp(order.placed_at)
        for sku, quantity in zip(order.channel_skus, order.quantities or [1] * len(order.channel_skus), strict=True):
            line = resolved.lines.add()
            if (order.channel_id, sku) in found:
                item, units = found[(order.channel_id, sku)]
                known = prices.get(item.item_id, [])
                price = price_in_force(known, order.channel_id, order.currency_code, order.customer_group, max(1, quantity) * units, moment)
                _fill(line, item, units, tax_class_at(item, moment), price)
    return response


def _fill(line: items_service_pb2.ResolvedLine, item: Any, units: int, tax_class: str, price: Any) -> None:
    line.item_id, line.sku, line.units, line.tax_class, line.weight_g = item.item_id, item.sku, units, tax_class, item.weight_g
    line.restricted_countries.extend(item.restricted_countries.split(",") if item.restricted_countries else [])
    line.list_price_minor = price.amount_minor * units if price is not None else -1
    line.hazmat_class, line.export_control_class = item.hazmat_class, item.export_control_class
    if item.sellable_from:
        line.sellable_from.CopyFrom(to_timestamp(item.sellable_from))
    line.price_includes_tax = bool(price is not None and price.includes_tax)


async def _items(tx: Tx, keys: list[Key]) -> dict[Key, tuple[Any, int]]:
    rows = [(channel_id, sku, sku.strip().upper()) for channel_id, sku in keys]
    found = await tx.read(_meanings(tx.dialect), parameters(tx.dialect, "wanted", WANTED, rows))
    return {(row.channel_id, row.channel_sku): (row, row.units or 1) for row in found}


@cache
def _meanings(dialect: str) -> Executable:
    """SELECT what channels' SKUs mean: the listing's item, else the item of that SKU."""
    wanted = given(dialect, "wanted", WANTED)
    listed = and_(LISTINGS.c.channel_id == wanted.c.channel_id, LISTINGS.c.channel_sku == wanted.c.channel_sku)
    return (
        select(wanted.c.channel_id, wanted.c.channel_sku, LISTINGS.c.units, ITEMS)
        .select_from(wanted)
        .outerjoin(LISTINGS, listed)
        .join(ITEMS, or_(ITEMS.c.item_id == LISTINGS.c.item_id, and_(LISTINGS.c.item_id.is_(None), ITEMS.c.sku == wanted.c.sku)))
        .where(ITEMS.c.lifecycle == int(Lifecycle.PUBLISHED), or_(LISTINGS.c.status.is_(None), LISTINGS.c.status != ENDED))
    )


async def _prices(tx: Tx, item_ids: list[str]) -> dict[str, list[Any]]:
    prices: dict[str, list[Any]] = {}
    for row in await tx.find(PRICES, ("item_id",), [(item_id,) for item_id in item_ids]):
        prices.setdefault(row.item_id, []).append(row)
    return prices
