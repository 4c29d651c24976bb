"""The tables of the gateway. A delivery is kept as it came before anybody understands it."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from chassis.runtime.tables import chassis_tables, new_metadata

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)

KEYS = Table(
    "api_keys", METADATA,
    Column("key_id", String(40), primary_key=True),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("account", String(100), nullable=False),
    Column("permissions", Text, nullable=False),
    Column("channel_ids", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)  # fmt: skip

CONNECTIONS = Table(
    "channel_connections", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("dialect", Integer, nullable=False),
    Column("entity", String(40), nullable=False),
    Column("mapping_id", String(40), nullable=False),
    Column("returns_location_id", String(64), nullable=False),
    # Two at once, so that one can be exchanged without losing a delivery.
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)  # fmt: skip

FILE_MAPPINGS = Table(
    "file_mappings", METADATA,
    Column("mapping_id", String(40), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)  # fmt: skip

DELIVERIES = Table(
    "deliveries", METADATA,
    Column("delivery_id", String(40), primary_key=True),
    Column("channel_id", String(40), nullable=False),
    Column("provider_delivery_id", String(200), nullable=False),
    Column("topic", String(100), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("orders", Integer, nullable=False),
    Column("open_orders", Integer, nullable=False),
    Column("report", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("channel_id", "provider_delivery_id"),
    Index("ix_deliveries_channel_id", "channel_id", "delivery_id"),
    Index("ix_deliveries_state", "state", "delivery_id"),
)  # fmt: skip

# The newest that a channel said of an order: what is older is dropped.
EXTERNAL_ORDERS = Table(
    "external_orders", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("external_order_id", String(100), primary_key=True),
    Column("updated_at", BigInteger, nullable=False),
)  # fmt: skip

# What a channel said once and may say again, e.g. a refund: only who writes it first carries it out.
EXTERNAL_STEPS = Table(
    "external_steps", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("external_order_id", String(100), primary_key=True),
    Column("step", String(200), primary_key=True),
    Column("delivery_id", String(40), nullable=False),
)  # fmt: skip

# What customers of order files bought, so that what comes back finds what it was.
SOLD_LINES = Table(
    "sold_lines", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("external_order_id", String(100), primary_key=True),
    Column("external_line_id", String(100), primary_key=True),
    Column("customer", String(100), nullable=False),
    Column("channel_sku", String(100), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("given_back", BigInteger, nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    CheckConstraint("given_back >= 0 AND given_back <= quantity", name="given_back"),
    Index("ix_sold_lines_customer", "channel_id", "customer", "channel_sku", "placed_at"),
)  # fmt: skip
