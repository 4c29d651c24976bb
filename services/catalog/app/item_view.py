"""Items between their rows and their contract messages."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from sqlalchemy import or_, select

from argosy.catalog.v1 import catalog_events_pb2, item_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.runtime.tx import Tx
from services.catalog.app.categories import rules_of
from services.catalog.domain.category import Rules, missing_of, need_attributes
from services.catalog.domain.item import REQUIRED, likeness, missing_attributes, need_units, normal_gtin, normal_sku
from services.catalog.store.tables import ITEMS

PLAIN = (
    "name", "brand", "tax_class", "weight_g", "length_mm", "width_mm", "height_mm", "hs_code", "origin_country_code",
    "standard_cost_minor", "cost_currency_code", "min_life_days", "supplier_id", "lead_time_days", "minimum_order_quantity",
    "export_control_class", "hazmat_class", "category_id",
)  # fmt: skip
# What has a default where nothing is said.
DEFAULTS = {"tracking": 1, "valuation": 1, "reorder_policy": 1, "pack_multiple": 1, "abc_class": "C"}
LISTS: dict[str, type[Message]] = {"units": item_pb2.Unit, "components": item_pb2.Component, "substitutes": item_pb2.Substitute}


class Row:
    """An item's row as it is about to be written."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def to_values(given: item_pb2.ItemInput, categories: dict[str, Rules]) -> dict[str, Any]:
    """Returns what was said of an item as column values, in normal form. Refusals: INVALID_FIELD, INVALID_GTIN, DOUBLE_UNIT,
    NO_SUCH_CATEGORY, BAD_ATTRIBUTE.
    """  # fmt: skip
    stock_unit = given.stock_unit or "EA"
    need_units(stock_unit, [(one.unit, one.gtin) for one in given.units])
    if given.category_id not in categories:
        raise NotFound("NO_SUCH_CATEGORY", f"item.category_id: there is no category {given.category_id}", field="item.category_id")
    need_attributes(categories[given.category_id], given.attributes)
    return {
        **{name: getattr(given, name) for name in PLAIN},
        **{name: getattr(given, name) or default for name, default in DEFAULTS.items()},
        **{name: _text(getattr(given, name)) for name in LISTS},
        "sku": normal_sku(given.sku),
        "gtin": normal_gtin(given.gtin),
        "stock_unit": stock_unit,
        "restricted_countries": ",".join(sorted(set(given.restricted_countries))),
        "expires": int(given.expires),
        "sellable_from": from_timestamp(given.sellable_from) if given.HasField("sellable_from") else 0,
        "attributes": json.dumps(dict(given.attributes), sort_keys=True),
        "media_urls": json.dumps(list(given.media_urls)),
        "likeness": likeness(given.brand, given.name),
        "tax_classes": _tax_classes(given.tax_classes),
    }


def _tax_classes(given: Sequence[item_pb2.TaxClassFrom]) -> str:
    moments = [(from_timestamp(one.valid_from), one.tax_class) for one in given]
    if len(dict(moments)) != len(moments):
        raise InvalidArgument("INVALID_FIELD", "item.tax_classes: two begin at one moment", field="item.tax_classes")
    return json.dumps(sorted(moments))


def tax_class_at(row: Any, moment: int) -> str:
    """Returns the tax class that an item (its row) has at a moment."""
    begun = [name for since, name in json.loads(row.tax_classes) if since <= moment] if row.tax_classes != "[]" else []
    return str(begun[-1] if begun else row.tax_class)


def missing_for_publication(row: Any, categories: dict[str, Rules]) -> list[str]:
    """Returns what must be said of an item (its row) before it can be published."""
    own = missing_attributes({name: getattr(row, name) for name in REQUIRED})
    return [*own, *missing_of(categories.get(row.category_id, {}), json.loads(row.attributes))]


async def shown(tx: Tx, rows: Sequence[Any]) -> list[item_pb2.Item]:
    """Returns items' rows as the contract shows them, with what their categories want to know."""
    categories = await rules_of(tx, {row.category_id for row in rows})
    return [to_message(row, categories) for row in rows]


def _text(messages: Iterable[Message]) -> str:
    return json.dumps([MessageToDict(one, preserving_proto_field_name=True) for one in messages])


def listed(row: Any, name: str) -> Sequence[Any]:
    """Returns a row's units, components or substitutes."""
    text = getattr(row, name)
    return [] if text == "[]" else [ParseDict(one, LISTS[name]()) for one in json.loads(text)]


def to_message(row: Any, categories: dict[str, Rules]) -> item_pb2.Item:
    """Returns an item's row as the contract shows it."""
    return item_pb2.Item(
        item_id=row.item_id,
        sku=row.sku,
        gtin=row.gtin or "",
        stock_unit=row.stock_unit,
        restricted_countries=row.restricted_countries.split(",") if row.restricted_countries else [],
        lifecycle=row.lifecycle,
        missing_attributes=missing_for_publication(row, categories),
        tax_classes=[item_pb2.TaxClassFrom(valid_from=to_timestamp(since), tax_class=name) for since, name in json.loads(row.tax_classes)],
        etag=str(row.version),
        created_at=to_timestamp(row.created_at),
        updated_at=to_timestamp(row.updated_at),
        expires=bool(row.expires),
        sellable_from=to_timestamp(row.sellable_from) if row.sellable_from else None,
        attributes=json.loads(row.attributes),
        media_urls=json.loads(row.media_urls),
        **{name: getattr(row, name) for name in (*PLAIN, *DEFAULTS)},
        units=listed(row, "units"),
        components=listed(row, "components"),
        substitutes=listed(row, "substitutes"),
    )


def published_event(row: Any) -> catalog_events_pb2.ItemPublished:
    """Returns the event that tells others of a published item."""
    return catalog_events_pb2.ItemPublished(
        item_id=row.item_id, sku=row.sku, name=row.name, stock_unit=row.stock_unit, weight_g=row.weight_g,
        standard_cost_minor=row.standard_cost_minor, cost_currency_code=row.cost_currency_code, tracking=row.tracking,
        expires=bool(row.expires), min_life_days=row.min_life_days, valuation=row.valuation, abc_class=row.abc_class,
        sellable_from=to_timestamp(row.sellable_from) if row.sellable_from else None, units=listed(row, "units"),
        components=listed(row, "components"), supplier_id=row.supplier_id, lead_time_days=row.lead_time_days,
        minimum_order_quantity=row.minimum_order_quantity, pack_multiple=row.pack_multiple, reorder_policy=row.reorder_policy,
    )  # fmt: skip


async def load(tx: Tx, item_id: str, *, lock: bool = False) -> Any:
    """Returns an item's row by id or SKU; raises NotFound."""
    query = select(ITEMS).where(or_(ITEMS.c.item_id == item_id, ITEMS.c.sku == item_id.upper()))
    rows = await tx.read(query.with_for_update() if lock else query)
    if not rows:
        raise NotFound("NO_SUCH_ITEM", f"there is no item {item_id}", field="item_id")
    return rows[0]
