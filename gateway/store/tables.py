"""The tables of the gateway. A delivery is kept as it came before anybody understands it."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint, text

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
    # A session is a key of a person that ends by itself.
    Column("expires_at", BigInteger),
    Column("role", Integer, nullable=False, server_default="0"),
    Index("ix_api_keys_account", "account"),
)  # fmt: skip

USERS = Table(
    "users", METADATA,
    Column("user_id", String(40), primary_key=True),
    Column("role", Integer, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("channel_ids", Text, nullable=False),
    Column("disabled", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)  # fmt: skip

PROOFS = Table(
    "proofs", METADATA,
    Column("proof_id", String(40), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("proved_at", BigInteger, nullable=False),
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
    Column("api_url", Text, nullable=False, server_default=""),
    Column("api_token", Text, nullable=False, server_default=""),
    Column("external_location_id", String(100), nullable=False, server_default=""),
    Column("coalesce_ms", Integer, nullable=False, server_default="0"),
    # Of a warehouse of others: which of our locations it is, and who writes to whom in X12.
    Column("location_id", String(64), nullable=False, server_default=""),
    Column("edi_own_id", String(20), nullable=False, server_default=""),
    Column("edi_partner_id", String(20), nullable=False, server_default=""),
    Column("takes_stock", Integer, nullable=False, server_default="0"),
    Column("takes_bills", Integer, nullable=False, server_default="0"),
    Index("ix_channel_connections_location", "location_id", unique=True, postgresql_where=text("location_id <> ''"), sqlite_where=text("location_id <> ''")),
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

SUBSCRIPTIONS = Table(
    "subscriptions", METADATA,
    Column("subscription_id", String(40), primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("event_types", Text, nullable=False),
    Column("channel_ids", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text, nullable=False),
    Column("previous_until", BigInteger, nullable=False),
    Column("disabled_reason", String(20), nullable=False),
    Column("failing_since", BigInteger),
    Column("created_at", BigInteger, nullable=False),
)  # fmt: skip

NOTIFICATIONS = Table(
    "notifications", METADATA,
    Column("notification_id", String(40), primary_key=True),
    Column("subscription_id", String(40), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("event_type", String(100), nullable=False),
    Column("subject_id", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("last_result", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("subscription_id", "event_id"),
    Index("ix_notifications_due", "subscription_id", "due_at", postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
    Index("ix_notifications_subscription", "subscription_id", "notification_id"),
    Index("ix_notifications_state", "state", "notification_id"),
)  # fmt: skip

ATTEMPTS = Table(
    "notification_attempts", METADATA,
    Column("notification_id", String(40), primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("status", Integer, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("answer", Text, nullable=False),
)  # fmt: skip

# What a channel is told of a listing: wanted, sent, acknowledged and, read back, observed; in the channel's units.
PUBLICATIONS = Table(
    "publications", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("channel_sku", String(100), primary_key=True),
    Column("item_id", String(40), nullable=False, index=True),
    Column("units", BigInteger, nullable=False),
    Column("external_id", String(100), nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("sent", BigInteger),
    Column("acknowledged", BigInteger),
    Column("observed", BigInteger),
    # Since when the channel shows another quantity than is wanted, and when it is told (again); both unset where it does not.
    Column("wanted_since", BigInteger),
    Column("due_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("repairs", Integer, nullable=False),
    # How the listing is told (catalog's numbers), its window or interval in microseconds, its steps as JSON; and whether it is on sale.
    Column("sync_mode", Integer, nullable=False, server_default="0"),
    Column("sync_us", BigInteger, nullable=False, server_default="0"),
    Column("sync_steps", Text, nullable=False, server_default="[]"),
    Column("on_sale", Integer, nullable=False, server_default="1"),
    # Which version of the listing says so.
    Column("version", BigInteger, nullable=False, server_default="0"),
    # When the listing changed last, and until which change it was found out what the channel should show.
    Column("changed_at", BigInteger, nullable=False, server_default="0"),
    Column("found_at", BigInteger, nullable=False, server_default="0"),
    Index("ix_publications_changed", "channel_id", postgresql_where=text("changed_at > found_at"), sqlite_where=text("changed_at > found_at")),
    Index("ix_publications_due", "channel_id", "due_at", postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
)  # fmt: skip

# How each channel that is told something answers: whether it is left alone for a while, and when it was read back.
CHANNEL_STATES = Table(
    "channel_states", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", BigInteger, nullable=False),
    Column("reconciled_at", BigInteger),
    Column("reconcile_due_at", BigInteger, nullable=False),
)  # fmt: skip

DISPATCHES = Table(
    "dispatches", METADATA,
    Column("shipment_id", String(40), primary_key=True),
    Column("channel_id", String(40), nullable=False),
    Column("order_id", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("external_id", String(100), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("error", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Index("ix_dispatches_channel", "channel_id", "shipment_id"),
    Index("ix_dispatches_due", "channel_id", "due_at", postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
)  # fmt: skip

# The fulfilment orders that warehouses of others were given, and what we and they call them. `lines` are [line, SKU] as they
# were numbered for the warehouse, `told` the quantities that it was told last; what is awaited is asked for at `look_at`.
WAREHOUSE_ORDERS = Table(
    "warehouse_orders", METADATA,
    Column("fulfillment_order_id", String(40), primary_key=True),
    Column("channel_id", String(40), nullable=False),
    Column("order_id", String(40), nullable=False),
    Column("reference", String(22), nullable=False),
    Column("external_id", String(100), nullable=False),
    Column("lines", Text, nullable=False),
    Column("told", Text, nullable=False),
    Column("look_at", BigInteger),
    UniqueConstraint("channel_id", "reference"),
    Index("ix_warehouse_orders_external", "channel_id", "external_id"),
    Index("ix_warehouse_orders_look", "channel_id", "look_at", postgresql_where=text("look_at IS NOT NULL"), sqlite_where=text("look_at IS NOT NULL")),
)  # fmt: skip

# How many units of each article warehouses of others said they took in, by their own documents: they say all of it again and again.
WAREHOUSE_RECEIPTS = Table(
    "warehouse_receipts", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("document", String(100), primary_key=True),
    Column("sku", String(100), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)  # fmt: skip

# What warehouses of others are told. A document is made once, so that told again it is the same, and kept until it was taken.
WAREHOUSE_MESSAGES = Table(
    "warehouse_messages", METADATA,
    Column("message_id", String(40), primary_key=True),
    Column("channel_id", String(40), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("fulfillment_order_id", String(40), nullable=False),
    # True where it asks for something back, so that the location's answer is told.
    Column("asks", Integer, nullable=False),
    # The document; of what is to be fetched, where.
    Column("content", LargeBinary, nullable=False),
    Column("control_number", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("error", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("taken_at", BigInteger),
    Index("ix_warehouse_messages_due", "channel_id", "due_at", postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
    Index("ix_warehouse_messages_control", "channel_id", "control_number"),
    Index("ix_warehouse_messages_order", "fulfillment_order_id", "message_id"),
    Index("ix_warehouse_messages_channel", "channel_id", "message_id"),
    Index("ix_warehouse_messages_state", "state", "message_id"),
)  # fmt: skip

# The last control number of each X12 connection.
CONTROL_NUMBERS = Table(
    "control_numbers", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("last", BigInteger, nullable=False),
)  # fmt: skip

# How the customers of a channel are told of their orders; `kinds` are the contract's numbers, as JSON.
NOTICE_ROUTES = Table(
    "notice_routes", METADATA,
    Column("channel_id", String(64), primary_key=True),
    Column("via", Integer, nullable=False),
    Column("sender", String(254), nullable=False),
    Column("sender_name", String(100), nullable=False),
    Column("reply_to", String(254), nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("kinds", Text, nullable=False),
    Column("language", String(40), nullable=False),
    Column("disabled", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)  # fmt: skip

# Every wording there was; the last of a key is in force, and one without words gives way to what comes with Argosy.
NOTICE_TEMPLATES = Table(
    "notice_templates", METADATA,
    Column("channel_id", String(64), primary_key=True),
    Column("kind", Integer, primary_key=True),
    Column("language", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("written_by", String(100), nullable=False),
    Column("written_at", BigInteger, nullable=False),
)  # fmt: skip

# What customers are told: an event of an order, once. `facts` are what the event says, as JSON, and nobody's address.
NOTICES = Table(
    "notices", METADATA,
    Column("notice_id", String(40), primary_key=True),
    Column("event_id", String(40), nullable=False, unique=True),
    Column("kind", Integer, nullable=False),
    Column("order_id", String(40), nullable=False),
    Column("channel_id", String(64), nullable=False),
    Column("facts", Text, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("last_result", Text, nullable=False),
    Column("language", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Index("ix_notices_due", "due_at", postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
    Index("ix_notices_order", "order_id", "notice_id"),
    Index("ix_notices_channel", "channel_id", "notice_id"),
    Index("ix_notices_state", "state", "notice_id"),
)  # fmt: skip
