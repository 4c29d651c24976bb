"""Items between their rows and their contract messages."""

from typing import Any

from sqlalchemy import or_, select

from argosy.catalog.v1 import catalog_events_pb2, item_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.database import Tx
from services.catalog.domain.item import REQUIRED, missing_attributes, normal_gtin, normal_sku
from services.catalog.store.tables import ITEMS

PLAIN = (
    "name", "brand", "tax_class", "weight_g", "length_mm", "width_mm", "height_mm", "hs_code", "origin_country_code",
    "standard_cost_minor", "cost_currency_code",
)  # fmt: skip


def to_values(given: item_pb2.ItemInput) -> dict[str, Any]:
    """Returns what was said of an item as column values, in normal form."""
    return {
        **{name: getattr(given, name) for name in PLAIN},
        "sku": normal_sku(given.sku),
        "gtin": normal_gtin(given.gtin),
        "stock_unit": given.stock_unit or "EA",
        "restricted_countries": ",".join(sorted(set(given.restricted_countries))),
    }


def to_message(row: Any) -> item_pb2.Item:
    """Returns an item's row as the contract shows it."""
    return item_pb2.Item(
        item_id=row.item_id,
        sku=row.sku,
        gtin=row.gtin or "",
        stock_unit=row.stock_unit,
        restricted_countries=row.restricted_countries.split(",") if row.restricted_countries else [],
        lifecycle=row.lifecycle,
        missing_attributes=missing_attributes({name: getattr(row, name) for name in REQUIRED}),
        etag=str(row.version),
        created_at=to_timestamp(row.created_at),
        updated_at=to_timestamp(row.updated_at),
        **{name: getattr(row, name) for name in PLAIN},
    )


def published_event(row: Any) -> catalog_events_pb2.ItemPublished:
    """Returns the event that tells others of a published item."""
    return catalog_events_pb2.ItemPublished(
        item_id=row.item_id, sku=row.sku, name=row.name, stock_unit=row.stock_unit, weight_g=row.weight_g,
        standard_cost_minor=row.standard_cost_minor, cost_currency_code=row.cost_currency_code,
    )  # fmt: skip


async def load(tx: Tx, item_id: str, *, lock: bool = False) -> Any:
    """Returns an item's row by id or SKU; raises NotFound."""
    query = select(ITEMS).where(or_(ITEMS.c.item_id == item_id, ITEMS.c.sku == item_id.upper()))
    rows = await tx.read(query.with_for_update() if lock else query)
    if not rows:
        raise NotFound("NO_SUCH_ITEM", f"there is no item {item_id}", field="item_id")
    return rows[0]
