"""The tables of finance. The journal is append-only; `account_days` are its sums, written in the same transaction."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from chassis.runtime.tables import chassis_tables, new_metadata

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)

ACCOUNTS = Table(
    "accounts", METADATA,
    Column("code", String(10), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("type", String(20), nullable=False),
)  # fmt: skip

POSTING_RULES = Table(
    "posting_rules", METADATA,
    Column("rule_id", String(60), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("event_type", String(60), nullable=False),
    Column("condition", Text, nullable=False),
    # JSON: a list of [account, side, amount, location]; the amount is an expression over the event, the location a field of it.
    Column("lines", Text, nullable=False),
    Column("active", Integer, nullable=False),
    # The event's field that holds the entity of the entry; `entity` where empty.
    Column("entity", String(40), nullable=False, server_default=""),
)  # fmt: skip

ENTRIES = Table(
    "journal_entries", METADATA,
    Column("entry_id", String(40), primary_key=True),
    Column("entity", String(40), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("rule_id", String(60), nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("event_type", String(60), nullable=False),
    Column("order_id", String(64), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("posted_at", BigInteger, nullable=False),
    UniqueConstraint("event_id", "rule_id"),
    Index("ix_journal_entries_order_id", "order_id", "entry_id"),
    Index("ix_journal_entries_document_id", "document_id", "entry_id"),
)  # fmt: skip

ENTRY_LINES = Table(
    "journal_lines", METADATA,
    Column("entry_id", String(40), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("account", String(10), nullable=False),
    Column("channel_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("debit_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
    CheckConstraint("debit_minor >= 0 AND credit_minor >= 0 AND (debit_minor = 0) <> (credit_minor = 0)", name="one_side"),
    Index("ix_journal_lines_account", "account", "entry_id"),
)  # fmt: skip

ACCOUNT_DAYS = Table(
    "account_days", METADATA,
    Column("entity", String(40), primary_key=True),
    Column("currency_code", String(3), primary_key=True),
    Column("account", String(10), primary_key=True),
    Column("channel_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("debit_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
)  # fmt: skip

INVOICES = Table(
    "invoices", METADATA,
    Column("invoice_id", String(40), primary_key=True),
    Column("number", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("order_id", String(64), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("entity", String(40), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    UniqueConstraint("entity", "kind", "number"),
    UniqueConstraint("kind", "document_id"),
    Index("ix_invoices_order_id_invoice_id", "order_id", "invoice_id"),
)  # fmt: skip

NUMBERS = Table(
    "number_ranges", METADATA,
    Column("entity", String(40), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("last", BigInteger, nullable=False),
)  # fmt: skip

TAX_RATES = Table(
    "tax_rates", METADATA,
    Column("country_code", String(2), primary_key=True),
    Column("tax_class", String(40), primary_key=True),
    Column("valid_from", String(10), primary_key=True),
    Column("rate_ppm", Integer, nullable=False),
)  # fmt: skip

# Which of its three entries a shipment has: a shipment that lacks one is a hold.
SHIPMENT_PARTS = Table(
    "shipment_parts", METADATA,
    Column("shipment_id", String(64), primary_key=True),
    Column("sale", Integer, nullable=False),
    Column("cost", Integer, nullable=False),
    Column("freight", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("held", Integer, nullable=False),
    Index("ix_shipment_parts_open", "first_at", postgresql_where=text("sale + cost + freight < 3"), sqlite_where=text("sale + cost + freight < 3")),
)  # fmt: skip
