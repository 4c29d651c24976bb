"""The tables of orders. Quantities of lines are in stock units; `units` of them make one of the channel's."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from chassis.runtime.tables import chassis_tables, new_metadata
from chassis.runtime.versions import version_columns

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)

# Orders of which something is still to ship, and those that were shipped and are not paid.
OPEN = text("status < 5")
OWING = text("receivable_minor > 0")
ENDED = text("ended_at IS NOT NULL")

ORDERS = Table(
    "orders", METADATA,
    Column("order_id", String(40), primary_key=True),
    Column("channel_id", String(40), nullable=False),
    Column("external_order_id", String(100), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("entity", String(40), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("status", Integer, nullable=False),
    Column("country_code", String(2), nullable=False),
    Column("region", String(100), nullable=False),
    Column("postal_prefix", String(3), nullable=False),
    Column("ship_to", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("cart_id", String(64), nullable=False),
    Column("shipping_minor", BigInteger, nullable=False),
    Column("shipping_tax_minor", BigInteger, nullable=False),
    Column("tax_charged", Integer, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    # What the customer paid for units that have not shipped; what has shipped and is not paid.
    Column("deposits_minor", BigInteger, nullable=False),
    Column("receivable_minor", BigInteger, nullable=False),
    Column("shipping_refunded", Integer, nullable=False),
    Column("shortage_policy", Integer, nullable=False),
    Column("language", String(40), nullable=False, server_default=""),
    # Where the customer collects it; empty where it is shipped.
    Column("pickup_location_id", String(64), nullable=False, server_default=""),
    Column("shipping_method", String(40), nullable=False, server_default=""),
    Column("ship_by", BigInteger),
    # By when the customer was told that all arrives, and by when it is expected now.
    Column("promised_by", BigInteger),
    Column("expected_by", BigInteger),
    # What the rules hint at for sourcing, joined by commas.
    Column("hints", Text, nullable=False, server_default=""),
    # Who buys: the customer, or for guests what their address comes to; and what the order asks for, both as hashes.
    Column("buyer", String(40), nullable=False, server_default=""),
    Column("signature", String(40), nullable=False, server_default=""),
    # Days after shipment by which the customer pays, and by when what was shipped first is to be paid.
    Column("payment_days", Integer, nullable=False, server_default="0"),
    Column("pay_by", BigInteger),
    Column("version", BigInteger, nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("channel_id", "external_order_id"),
    Index("ix_orders_status_order_id", "status", "order_id"),
    Index("ix_orders_channel_id_order_id", "channel_id", "order_id"),
    Index("ix_orders_channel_id_status_order_id", "channel_id", "status", "order_id"),
    Index("ix_orders_external_order_id", "external_order_id", "order_id"),
    Index("ix_orders_buyer", "buyer", "order_id"),
    Index("ix_orders_customer_open", "customer_id", postgresql_where=OPEN, sqlite_where=OPEN),
    Index("ix_orders_customer_owing", "customer_id", postgresql_where=OWING, sqlite_where=OWING),
    # What of the shipping had been booked with parcels before the last change.
    Column("settled_shipping_minor", BigInteger, nullable=False, server_default="0"),
    Column("settled_shipping_tax_minor", BigInteger, nullable=False, server_default="0"),
    # When a location was first told to ship, and when nothing was left to ship; then, what it took until there.
    Column("released_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("was_held", Integer, nullable=False, server_default="0"),
    Column("was_changed", Integer, nullable=False, server_default="0"),
    Column("parcels", Integer, nullable=False, server_default="0"),
    # All that its figures count, so that they are counted in the index.
    Index(
        "ix_orders_ended_at", "ended_at", "channel_id", "created_at", "released_at", "was_held", "was_changed", "parcels",
        postgresql_where=ENDED, sqlite_where=ENDED,
    ),
    CheckConstraint("deposits_minor >= 0 AND receivable_minor >= 0", name="not_negative"),
)  # fmt: skip

LINES = Table(
    "order_lines", METADATA,
    Column("line_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("channel_sku", String(100), nullable=False),
    Column("external_line_id", String(100), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("sku", String(64), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("tax_class", String(40), nullable=False),
    Column("weight_g", BigInteger, nullable=False),
    # What catalog said when the line was resolved: -1 where no list price is kept.
    Column("list_price_minor", BigInteger, nullable=False),
    Column("price_includes_tax", Integer, nullable=False),
    Column("restricted", Integer, nullable=False),
    Column("hazmat_class", String(20), nullable=False, server_default=""),
    Column("export_control_class", String(20), nullable=False, server_default=""),
    Column("ordered", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("released", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("shipped_at", BigInteger),
    # From when it is sold; 0 where it is.
    Column("sellable_from", BigInteger, nullable=False, server_default="0"),
    # Of what waits, how much waits for supply.
    Column("backordered", BigInteger, nullable=False, server_default="0"),
    # Of what is ordered, how much had shipped or was cancelled before the last change: all, or only cancelled units.
    Column("settled", BigInteger, nullable=False, server_default="0"),
    Index("ix_order_lines_channel_sku", "channel_sku", "order_id"),
    CheckConstraint("ordered = waiting + reserved + shipped + cancelled", name="adds_up"),
    CheckConstraint("waiting >= 0 AND reserved >= 0 AND released >= 0 AND shipped >= 0 AND cancelled >= 0", name="not_negative"),
    CheckConstraint("refunded <= shipped AND released <= reserved", name="in_bounds"),
)  # fmt: skip

# Authorisations of the provider that are not all taken.
AUTHORISED = text("adapter = 3 AND state = 2 AND renewing = 0")

TENDERS = Table(
    "tenders", METADATA,
    Column("tender_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False, index=True),
    Column("method", String(40), nullable=False),
    Column("adapter", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("reference", String(100), nullable=False),
    # When the authorisation ends; what the provider is asked to take and has not answered; 1 while it is asked to renew it.
    Column("expires_at", BigInteger),
    Column("capturing_minor", BigInteger, nullable=False, server_default="0"),
    Column("renewing", Integer, nullable=False, server_default="0"),
    # What refunds that were agreed bring back and have not paid yet.
    Column("refunding_minor", BigInteger, nullable=False, server_default="0"),
    Index("ix_tenders_expiring", "expires_at", postgresql_where=AUTHORISED, sqlite_where=AUTHORISED),
    CheckConstraint("refunded_minor <= captured_minor", name="refunds_in_bounds"),
)  # fmt: skip

# Every name that a provider had for the payment of a tender: what it says of one that was renewed still finds it.
PAYMENT_REFERENCES = Table(
    "payment_references", METADATA,
    Column("reference", String(100), primary_key=True),
    Column("tender_id", String(40), primary_key=True),
)  # fmt: skip

REFUNDS = Table(
    "refunds", METADATA,
    Column("refund_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False),
    Column("return_id", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_refunds_order_id_refund_id", "order_id", "refund_id"),
)  # fmt: skip

SHIPMENTS = Table(
    "order_shipments", METADATA,
    Column("shipment_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False, index=True),
    Column("delivered", Integer, nullable=False),
)  # fmt: skip

HISTORY = Table(
    "order_history", METADATA,
    Column("entry_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("actor", String(120), nullable=False),
    Index("ix_order_history_order_id_entry_id", "order_id", "entry_id"),
)  # fmt: skip

# Changes after placement; the body is JSON: what shall be, and what was before.
CHANGES = Table(
    "order_changes", METADATA,
    Column("change_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", String(120), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("outcome", Text, nullable=False),
    Index("ix_order_changes_order_id_change_id", "order_id", "change_id"),
)  # fmt: skip

# What customers are offered in place of lines that wait; a line has one that is open.
OFFERS = Table(
    "offers", METADATA,
    Column("offer_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False),
    Column("line_id", String(40), nullable=False),
    Column("channel_sku_before", String(100), nullable=False),
    Column("quantity_before", BigInteger, nullable=False),
    Column("amount_before_minor", BigInteger, nullable=False),
    Column("channel_sku", String(100), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("otherwise", Integer, nullable=False),
    Column("answer_by", BigInteger, nullable=False),
    Column("offered_by", String(120), nullable=False),
    Column("offered_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("ended_by", String(120), nullable=False),
    Column("outcome", Text, nullable=False),
    Index("ix_offers_order_id_offer_id", "order_id", "offer_id"),
    Index("ix_offers_open_line", "line_id", unique=True, postgresql_where=text("ended_at IS NULL"), sqlite_where=text("ended_at IS NULL")),
    Index("ix_offers_open_until", "answer_by", postgresql_where=text("ended_at IS NULL"), sqlite_where=text("ended_at IS NULL")),
)  # fmt: skip

CUSTOMERS = Table(
    "customers", METADATA,
    Column("customer_id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("email", String(254), nullable=False),
    Column("external_customer_id", String(100), nullable=False, index=True),
    Column("customer_group", String(40), nullable=False, server_default=""),
    # -1 where nothing is on account.
    Column("credit_limit_minor", BigInteger, nullable=False, server_default="-1"),
    Column("credit_currency_code", String(3), nullable=False, server_default=""),
    Column("payment_days", Integer, nullable=False, server_default="0"),
    Column("tax_exemption", String(100), nullable=False, server_default=""),
    Column("blocked", Integer, nullable=False, server_default="0"),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", BigInteger, nullable=False),
)  # fmt: skip

RULE_SETS = Table("rule_sets", METADATA, *version_columns())

# Never changed: what a set says is drafted once.
RULES = Table(
    "rules", METADATA,
    Column("rule_id", String(60), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("action", Integer, nullable=False, server_default="1"),
    Column("reason", String(60), nullable=False),
    Column("condition", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("points", Integer, nullable=False, server_default="0"),
    Column("hint", String(40), nullable=False, server_default=""),
    # Read by the release before rule sets only, while it is replaced.
    Column("active", Integer, nullable=False),
)  # fmt: skip

# How orders were judged, with all that was known then: never changed, so that any set of rules can judge them again.
JUDGEMENTS = Table(
    "judgements", METADATA,
    Column("judgement_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("facts", Text, nullable=False),
    Column("found", Text, nullable=False),
    Column("judged_at", BigInteger, nullable=False),
)  # fmt: skip
