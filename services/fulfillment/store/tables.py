"""The tables of fulfillment."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, String, Table, Text, text

from chassis.runtime.tables import chassis_tables, new_metadata
from chassis.runtime.versions import version_columns

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)
OPEN = text("status < 4")
READY = text("status = 6")
UNANSWERED = text("handshake IN (1, 4)")

# Decisions are never changed. `answer` is the contract's message as it was answered; before, `body` was that as JSON.
DECISIONS = Table(
    "decisions", METADATA,
    Column("decision_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("answer", LargeBinary),
    # What was asked, and what was known of stock, as JSON: enough to decide again.
    Column("question", Text, nullable=False, server_default=""),
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
    # What was promised; unset where nothing is known of the location, or of the way. The day as its ordinal.
    Column("method", String(40), nullable=False, server_default=""),
    Column("ship_day", Integer),
    Column("ship_by", BigInteger),
    Column("deliver_by", BigInteger),
    # What the location says of it, by when it must answer, and why it will not.
    Column("handshake", Integer, nullable=False, server_default="0"),
    Column("acknowledge_by", BigInteger),
    Column("refusal", Text, nullable=False, server_default=""),
    # Whether the customer collects it; since when it waits for them, and by when they must have come.
    Column("pickup", Integer, nullable=False, server_default="0"),
    Column("ready_at", BigInteger),
    Column("collect_by", BigInteger),
    # The wave in which it is picked; unset where it is in none.
    Column("wave_id", String(40)),
    Index("ix_fulfillment_orders_unanswered", "acknowledge_by", postgresql_where=UNANSWERED, sqlite_where=UNANSWERED),
    Index("ix_fulfillment_orders_collect_by", "collect_by", postgresql_where=READY, sqlite_where=READY),
    Index("ix_fulfillment_orders_ship_day", "ship_day", "location_id"),
    Index("ix_fulfillment_orders_overdue", "ship_by", postgresql_where=OPEN, sqlite_where=OPEN),
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
    # Of what is left, what the location is asked to give back.
    Column("recalling", BigInteger, nullable=False, server_default="0"),
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
    Column("method", String(40), nullable=False, server_default=""),
    Column("ship_by", BigInteger),
    Column("deliver_by", BigInteger),
    Column("delivered_at", BigInteger),
    # What the location calls it.
    Column("reference", String(100), nullable=False, server_default=""),
    Index("ix_shipments_shipped_at", "shipped_at"),
    Index("ix_shipments_tracking_number", "tracking_number"),
    Index(
        "ix_shipments_reference", "reference", "location_id", postgresql_where=text("reference <> ''"),
        sqlite_where=text("reference <> ''"),
    ),
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
    # The shipping method it serves; empty where it serves those that no rate names.
    Column("method", String(40), nullable=False, server_default=""),
)  # fmt: skip

# What a parcel from a location costs more than the rate, by how much of the postal code is named.
LANES = Table(
    "lanes", METADATA,
    Column("location_id", String(64), primary_key=True),
    Column("country_code", String(2), primary_key=True),
    Column("postal_prefix", String(3), primary_key=True),
    Column("currency_code", String(3), primary_key=True),
    Column("surcharge_minor", BigInteger, nullable=False),
)  # fmt: skip

# How long parcels are on their way; what is empty stands for any.
TRANSITS = Table(
    "transits", METADATA,
    Column("location_id", String(64), primary_key=True),
    Column("country_code", String(2), primary_key=True),
    Column("postal_prefix", String(3), primary_key=True),
    Column("method", String(40), primary_key=True),
    Column("least_days", Integer, nullable=False),
    Column("most_days", Integer, nullable=False),
    Column("saturdays", Integer, nullable=False),
)  # fmt: skip

# When and how much locations ship; the body is the contract's Node as JSON.
NODES = Table(
    "nodes", METADATA,
    Column("location_id", String(64), primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

# What was promised of an order, by the location that shall ship it: the last word.
PROMISES = Table(
    "promises", METADATA,
    Column("order_id", String(64), primary_key=True),
    Column("location_id", String(64), primary_key=True),
    Column("method", String(40), nullable=False),
    Column("ship_day", Integer),
    Column("ship_by", BigInteger),
    Column("deliver_by", BigInteger),
    Column("promised_at", BigInteger, nullable=False),
)  # fmt: skip

# How orders are sourced; never changed once drafted. The body is JSON: strategies, exclusions and weights.
POLICY_VERSIONS = Table("policy_versions", METADATA, *version_columns(), Column("body", Text, nullable=False))

# What replays of past orders found: the contract's Replay as JSON.
REPLAYS = Table(
    "replays", METADATA,
    Column("job_id", String(40), primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

# What the release before this one sources by.
POLICIES = Table(
    "sourcing_policies", METADATA,
    Column("version", Integer, primary_key=True),
    Column("handling_minor", BigInteger, nullable=False),
    Column("split_penalty_minor", BigInteger, nullable=False),
    Column("most_locations", Integer, nullable=False),
    Column("active", Integer, nullable=False),
)  # fmt: skip
