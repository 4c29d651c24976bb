"""The tables of returns. Quantities are in the channel's units; `units` stock units make one."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text

from chassis.runtime.tables import chassis_tables, new_metadata

METADATA = new_metadata()
CHASSIS = chassis_tables(METADATA)

RETURNS = Table(
    "returns", METADATA,
    Column("return_id", String(40), primary_key=True),
    Column("order_id", String(40), nullable=False),
    Column("channel_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("status", Integer, nullable=False),
    Column("refund_state", Integer, nullable=False),
    Column("refund_minor", BigInteger, nullable=False),
    Column("refund_shipping", Integer, nullable=False),
    Column("declined_reason", Text, nullable=False),
    Column("reference", String(100), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_returns_order_id_return_id", "order_id", "return_id"),
    Index("ix_returns_status_return_id", "status", "return_id"),
)  # fmt: skip

LINES = Table(
    "return_lines", METADATA,
    Column("return_id", String(40), primary_key=True),
    Column("line_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("sku", String(64), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("restocked", BigInteger, nullable=False),
    Column("damaged", BigInteger, nullable=False),
    Column("scrapped", BigInteger, nullable=False),
    Column("reason", String(60), nullable=False),
    CheckConstraint("received <= quantity AND restocked + damaged + scrapped <= received", name="in_bounds"),
    Index("ix_return_lines_line_id", "line_id"),
)  # fmt: skip

POLICIES = Table(
    "return_policies", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("window_days", Integer, nullable=False),
    Column("refund_shipping", Integer, nullable=False),
)  # fmt: skip
