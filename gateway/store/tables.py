"""The tables of the gateway. A delivery is kept as it came before anybody understands it."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text, UniqueConstraint

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
    Column("dialect", String(40), nullable=False),
    Column("entity", String(40), nullable=False),
    # Two at once, so that one can be exchanged without losing a delivery.
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)  # fmt: skip

DELIVERIES = Table(
    "deliveries", METADATA,
    Column("delivery_id", String(40), primary_key=True),
    Column("channel_id", String(40), nullable=False),
    Column("provider_delivery_id", String(200), nullable=False),
    Column("topic", String(100), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("channel_id", "provider_delivery_id"),
    Index("ix_deliveries_state_delivery_id", "state", "delivery_id"),
)  # fmt: skip

# The newest that a channel said of an order: what is older is dropped.
EXTERNAL_ORDERS = Table(
    "external_orders", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("external_order_id", String(100), primary_key=True),
    Column("updated_at", BigInteger, nullable=False),
    Column("delivery_id", String(40), nullable=False),
)  # fmt: skip

FILE_MAPPINGS = Table(
    "file_mappings", METADATA,
    Column("mapping_id", String(40), primary_key=True),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)  # fmt: skip
