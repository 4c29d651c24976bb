"""The tables of inventory. Stock is told by two: movements (append-only) and balances, changed together."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from chassis.runtime.tables import ROW_ID, chassis_tables, new_metadata

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)

LOCATIONS = Table(
    "locations", METADATA,
    Column("location_id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("entity", String(40), nullable=False),
    Column("owned", Integer, nullable=False),
    Column("country_code", String(2), nullable=False),
    Column("postal_prefix", String(3), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)  # fmt: skip

# What catalog says of an item, as far as stock needs it.
ITEMS = Table(
    "items", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("sku", String(64), nullable=False),
    Column("standard_cost_minor", BigInteger, nullable=False),
    Column("retired", Integer, nullable=False),
)  # fmt: skip

BALANCES = Table(
    "stock_balances", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("lot", String(40), primary_key=True),
    Column("state", Integer, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    CheckConstraint("quantity >= 0", name="not_negative"),
)  # fmt: skip

MOVEMENTS = Table(
    "stock_movements", METADATA,
    Column("movement_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("lot", String(40), nullable=False),
    Column("from_state", Integer, nullable=False),
    Column("to_state", Integer, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("document_type", String(40), nullable=False),
    Column("document_id", String(64), nullable=False, index=True),
    Column("actor", String(120), nullable=False),
    Column("moved_at", BigInteger, nullable=False),
    CheckConstraint("quantity > 0", name="positive"),
    Index("ix_stock_movements_item_id_movement_id", "item_id", "movement_id"),
)  # fmt: skip

RESERVATIONS = Table(
    "reservations", METADATA,
    Column("reservation_id", String(40), primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("owner_id", String(64), nullable=False),
    Column("line_id", String(64), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("lot", String(40), nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("allocated", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("reserved >= 0 AND allocated >= 0 AND shipped >= 0 AND cancelled >= 0", name="not_negative"),
    Index("ix_reservations_owner_id", "owner_id", "line_id"),
    Index("ix_reservations_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL"), sqlite_where=text("expires_at IS NOT NULL")),
)  # fmt: skip

# Owners whose reservations were cancelled before they were made: a late reserve is refused.
TOMBSTONES = Table(
    "tombstones", METADATA,
    Column("owner_id", String(64), primary_key=True),
    Column("buried_at", BigInteger, nullable=False),
)  # fmt: skip

LAYERS = Table(
    "cost_layers", METADATA,
    Column("position", ROW_ID, primary_key=True, autoincrement=True),
    Column("layer_id", String(40), nullable=False, unique=True),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    # The return whose judgement the layer waits for; empty for stock that can be issued.
    Column("return_id", String(64), nullable=False),
    Column("line_id", String(64), nullable=False),
    Column("quantity_in", BigInteger, nullable=False),
    Column("quantity_left", BigInteger, nullable=False),
    Column("value_in_minor", BigInteger, nullable=False),
    Column("value_left_minor", BigInteger, nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    CheckConstraint("quantity_left >= 0 AND value_left_minor >= 0", name="not_negative"),
    Index("ix_cost_layers_open", "item_id", "location_id", "position", postgresql_where=text("quantity_left > 0"), sqlite_where=text("quantity_left > 0")),
)  # fmt: skip

CONSUMPTIONS = Table(
    "layer_consumptions", METADATA,
    Column("consumption_id", String(40), primary_key=True),
    Column("layer_id", String(40), nullable=False, index=True),
    Column("document_id", String(64), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
)  # fmt: skip

# What left with each shipment of an order's line, and how much of it came back.
ISSUES = Table(
    "issues", METADATA,
    Column("document_id", String(64), primary_key=True),
    Column("line_id", String(64), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Column("returned_quantity", BigInteger, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Index("ix_issues_line_id", "line_id"),
)  # fmt: skip

POLICIES = Table(
    "stock_policies", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("share_percent", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False, server_default="0", index=True),
    UniqueConstraint("item_id", "location_id", "channel_id"),
)  # fmt: skip
