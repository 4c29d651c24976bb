"""The tables of catalog."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from chassis.runtime.tables import chassis_tables, new_metadata

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)

ITEMS = Table(
    "items", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("sku", String(64), nullable=False, unique=True),
    Column("gtin", String(14), unique=True),
    Column("name", String(300), nullable=False),
    Column("brand", String(100), nullable=False),
    Column("stock_unit", String(10), nullable=False),
    Column("tax_class", String(40), nullable=False),
    Column("weight_g", BigInteger, nullable=False),
    Column("length_mm", BigInteger, nullable=False),
    Column("width_mm", BigInteger, nullable=False),
    Column("height_mm", BigInteger, nullable=False),
    Column("hs_code", String(12), nullable=False),
    Column("origin_country_code", String(2), nullable=False),
    Column("restricted_countries", Text, nullable=False),
    Column("standard_cost_minor", BigInteger, nullable=False),
    Column("cost_currency_code", String(3), nullable=False),
    Column("lifecycle", Integer, nullable=False),
    Column("submitted_by", String(120), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("tracking", Integer, nullable=False, server_default="1"),
    Column("expires", Integer, nullable=False, server_default="0"),
    Column("min_life_days", Integer, nullable=False, server_default="0"),
    Column("valuation", Integer, nullable=False, server_default="1"),
    Column("abc_class", String(1), nullable=False, server_default="C"),
    Column("sellable_from", BigInteger, nullable=False, server_default="0"),
    Column("supplier_id", String(40), nullable=False, server_default=""),
    Column("lead_time_days", Integer, nullable=False, server_default="0"),
    Column("minimum_order_quantity", BigInteger, nullable=False, server_default="0"),
    Column("pack_multiple", BigInteger, nullable=False, server_default="1"),
    Column("reorder_policy", Integer, nullable=False, server_default="1"),
    Column("export_control_class", String(20), nullable=False, server_default=""),
    Column("hazmat_class", String(20), nullable=False, server_default=""),
    Column("category_id", String(40), nullable=False, server_default=""),
    # JSON, as the contract's messages: what belongs to one item and is read with it.
    Column("units", Text, nullable=False, server_default="[]"),
    Column("components", Text, nullable=False, server_default="[]"),
    Column("substitutes", Text, nullable=False, server_default="[]"),
    Column("attributes", Text, nullable=False, server_default="{}"),
    Column("media_urls", Text, nullable=False, server_default="[]"),
    # Brand and name in normal form: near-identical items have near-identical ones.
    Column("likeness", String(400), nullable=False, server_default=""),
    Column("published", Integer, nullable=False, server_default="0"),
    # JSON: [[from when in microseconds, tax class], …] in order of time, in place of the one above.
    Column("tax_classes", Text, nullable=False, server_default="[]"),
    Index("ix_items_likeness", "likeness"),
    Index("ix_items_category_id", "category_id", "item_id"),
)  # fmt: skip

# Kinds of items; `attributes` is JSON, a list of rules.
CATEGORIES = Table(
    "categories", METADATA,
    Column("category_id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("parent_id", String(40), nullable=False),
    Column("attributes", Text, nullable=False),
)  # fmt: skip

CHANNELS = Table(
    "channels", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("entity", String(40), nullable=False),
    Column("prices_include_tax", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)  # fmt: skip

# What a channel wants to know of items of a category; of all where it is empty. `required` is JSON, a list of fields.
REQUIREMENTS = Table(
    "channel_requirements", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("category_id", String(40), primary_key=True),
    Column("required", Text, nullable=False),
)  # fmt: skip

LISTINGS = Table(
    "listings", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("channel_sku", String(100), primary_key=True),
    Column("item_id", String(40), nullable=False, index=True),
    # In stock units: `quantity` of `unit`, which is the stock unit where it is empty.
    Column("units", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("unit", String(10), nullable=False, server_default=""),
    Column("quantity", BigInteger, nullable=False, server_default="0"),
    Column("status", Integer, nullable=False, server_default="1"),
    # JSON: how the channel is told its quantity; empty where its connection says.
    Column("sync", Text, nullable=False, server_default=""),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("changed_by", String(120), nullable=False, server_default=""),
    Column("changed_at", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
)  # fmt: skip

# Every version of every listing, as it was set.
LISTING_VERSIONS = Table(
    "listing_versions", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("channel_sku", String(100), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("unit", String(10), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("sync", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_by", String(120), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)  # fmt: skip

PRICES = Table(
    "prices", METADATA,
    Column("price_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("channel_id", String(40), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("includes_tax", Integer, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    # The first moment at which it no longer holds; 0 where it has no end.
    Column("valid_until", BigInteger, nullable=False, server_default="0"),
    Column("customer_group", String(40), nullable=False, server_default=""),
    Column("min_quantity", BigInteger, nullable=False, server_default="1"),
    Column("set_by", String(120), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    UniqueConstraint("item_id", "channel_id", "currency_code", "customer_group", "min_quantity", "valid_from", name="uq_prices_key"),
    Index("ix_prices_item_id_price_id", "item_id", "price_id"),
)  # fmt: skip
