"""The tables of fulfillment."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text

from chassis.runtime.tables import chassis_tables, new_metadata

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)

# Decisions are never changed; the body is the contract's message as it was answered.
DECISIONS = Table(
    "decisions", METADATA,
    Column("decision_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Index("ix_decisions_order_id_decision_id", "order_id", "decision_id"),
)  # fmt: skip

FULFILLMENT_ORDERS = Table(
    "fulfillment_orders", METADATA,
    Column("fulfillment_order_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False, index=True),
    Column("channel_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("entity", String(40), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("status", Integer, nullable=False),
    Column("country_code", String(2), nullable=False),
    Column("region", String(100), nullable=False),
    Column("postal_prefix", String(3), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_fulfillment_orders_status", "status", "fulfillment_order_id"),
    Index("ix_fulfillment_orders_location", "location_id", "fulfillment_order_id"),
)  # fmt: skip

LINES = Table(
    "fulfillment_lines", METADATA,
    Column("fulfillment_order_id", String(40), primary_key=True),
    Column("line_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("sku", String(64), nullable=False),
    Column("weight_g", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("picked", BigInteger, nullable=False),
    Column("shorted", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    CheckConstraint("shorted + shipped + cancelled <= quantity", name="in_bounds"),
)  # fmt: skip

SHIPMENTS = Table(
    "shipments", METADATA,
    Column("shipment_id", String(40), primary_key=True),
    Column("fulfillment_order_id", String(40), nullable=False, index=True),
    Column("order_id", String(40), nullable=False, index=True),
    Column("location_id", String(40), nullable=False),
    Column("carrier", String(60), nullable=False),
    Column("service", String(60), nullable=False),
    Column("tracking_number", String(100), nullable=False),
    Column("tracking_status", String(20), nullable=False),
    Column("tracked_at", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("shipped_at", BigInteger, nullable=False),
)  # fmt: skip

SHIPMENT_LINES = Table(
    "shipment_lines", METADATA,
    Column("shipment_id", String(40), primary_key=True),
    Column("line_id", String(40), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)  # fmt: skip

RATES = Table(
    "rates", METADATA,
    Column("carrier", String(60), primary_key=True),
    Column("service", String(60), primary_key=True),
    Column("country_code", String(2), primary_key=True),
    Column("currency_code", String(3), primary_key=True),
    Column("base_minor", BigInteger, nullable=False),
    Column("per_kg_minor", BigInteger, nullable=False),
)  # fmt: skip

POLICIES = Table(
    "sourcing_policies", METADATA,
    Column("version", Integer, primary_key=True),
    Column("handling_minor", BigInteger, nullable=False),
    Column("split_penalty_minor", BigInteger, nullable=False),
    Column("most_locations", Integer, nullable=False),
    Column("active", Integer, nullable=False),
)  # fmt: skip
