"""The tables of work inside a location: bins and what lies in them, waves, pick lists."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text, text

from services.fulfillment.store.tables import METADATA

IS_OPEN = text("remaining > 0")

BINS = Table(
    "bins", METADATA,
    Column("location_id", String(40), primary_key=True),
    Column("bin", String(24), primary_key=True),
    Column("zone", String(20), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("most_units", BigInteger, nullable=False),
    Column("blocked", Integer, nullable=False),
    Index("ix_bins_way", "location_id", "position", "bin"),
)  # fmt: skip

# What lies in bins; all bins of a location together hold what inventory has on hand there. An empty bin has no row.
BIN_STOCK = Table(
    "bin_stock", METADATA,
    Column("location_id", String(40), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("bin", String(24), primary_key=True),
    Column("lot", String(64), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    CheckConstraint("quantity >= 0", name="not_negative"),
    Index("ix_bin_stock_bin", "location_id", "bin", "item_id", "lot"),
)  # fmt: skip

# Never changed. Where from is empty, goods came in; where to is empty, they left.
BIN_MOVES = Table(
    "bin_moves", METADATA,
    Column("move_id", String(40), primary_key=True),
    Column("location_id", String(40), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("lot", String(64), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("from_bin", String(24), nullable=False),
    Column("to_bin", String(24), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("document_id", String(100), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("moved_at", BigInteger, nullable=False),
    Index("ix_bin_moves_item", "location_id", "item_id", "move_id"),
    Index("ix_bin_moves_location", "location_id", "move_id"),
)  # fmt: skip

WAVES = Table(
    "waves", METADATA,
    Column("wave_id", String(40), primary_key=True),
    Column("location_id", String(40), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("fulfillment_orders", Integer, nullable=False),
    Column("lists", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("created_by", String(100), nullable=False),
    Index("ix_waves_location", "location_id", "wave_id"),
)  # fmt: skip

PICK_LISTS = Table(
    "pick_lists", METADATA,
    Column("list_id", String(40), primary_key=True),
    Column("wave_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("zone", String(20), nullable=False),
    Column("status", Integer, nullable=False),
    Column("worker", String(100), nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Index("ix_pick_lists_wave", "wave_id", "list_id"),
    Index("ix_pick_lists_location", "location_id", "status", "list_id"),
    Index("ix_pick_lists_ended_at", "ended_at"),
)  # fmt: skip

# Units to take from a bin for a line of a fulfilment order. What is wanted is picked, short, cancelled, or remains.
PICKS = Table(
    "picks", METADATA,
    Column("pick_id", String(40), primary_key=True),
    Column("list_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("step", Integer, nullable=False),
    Column("bin", String(24), nullable=False),
    Column("zone", String(20), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("lot", String(64), nullable=False),
    Column("sku", String(64), nullable=False),
    Column("gtin", String(14), nullable=False),
    Column("name", Text, nullable=False),
    Column("tote", Integer, nullable=False),
    Column("fulfillment_order_id", String(40), nullable=False),
    Column("line_id", String(40), nullable=False),
    # So many units make one of the line: more than one, or another item than the line's, in a kit.
    Column("per_unit", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("picked", BigInteger, nullable=False),
    Column("shorted", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    # What was picked and brought back, since it is not wanted any more.
    Column("returned", BigInteger, nullable=False),
    CheckConstraint("quantity = remaining + picked + shorted + cancelled AND remaining >= 0 AND returned <= picked", name="in_bounds"),
    Index("ix_picks_list", "list_id", "step", "pick_id"),
    Index("ix_picks_fulfillment_order", "fulfillment_order_id", "line_id"),
    Index("ix_picks_open", "location_id", "item_id", postgresql_where=IS_OPEN, sqlite_where=IS_OPEN),
)  # fmt: skip
