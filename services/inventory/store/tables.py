"""The tables of inventory. Stock is told by two: movements (append-only) and balances, changed together."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from chassis.runtime.statements import ALIKE
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
    # Set where it keeps bins: whoever keeps them is told of every change of what is on hand.
    Column("bins", Integer, nullable=False, server_default="0"),
)  # fmt: skip

# What catalog says of an item, as far as stock needs it.
ITEMS = Table(
    "items", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("sku", String(64), nullable=False),
    Column("standard_cost_minor", BigInteger, nullable=False),
    Column("retired", Integer, nullable=False),
    Column("cost_currency_code", String(3), nullable=False, server_default=""),
    Column("stock_unit", String(10), nullable=False, server_default="EA"),
    Column("weight_g", BigInteger, nullable=False, server_default="0"),
    # JSON: units of the item to [numerator, denominator] in stock units.
    Column("units", Text, nullable=False, server_default="{}"),
    # JSON: [[item, quantity], …] of a kit; empty for what is stocked itself.
    Column("kit", Text, nullable=False, server_default=""),
    Column("tracking", Integer, nullable=False, server_default="1"),
    Column("expires", Integer, nullable=False, server_default="0"),
    Column("min_life_days", Integer, nullable=False, server_default="0"),
    Column("valuation", Integer, nullable=False, server_default="1"),
    Column("abc_class", String(1), nullable=False, server_default="C"),
    Column("sellable_from", BigInteger, nullable=False, server_default="0"),
    Column("supplier_id", String(40), nullable=False, server_default=""),
    Column("lead_time_days", Integer, nullable=False, server_default="0"),
    Column("minimum_order_quantity", BigInteger, nullable=False, server_default="0"),
    Column("pack_multiple", BigInteger, nullable=False, server_default="1"),
    Column("reorder_policy", Integer, nullable=False, server_default="0"),
    Index("ix_items_sku", "sku"),
)  # fmt: skip

# What is known of a lot, or of a serial number, which is a lot of one piece.
LOTS = Table(
    "lots", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("lot", String(40), primary_key=True),
    # The lot that a serial number belongs to, where it is known.
    Column("batch", String(40), nullable=False),
    # The first moment at which it has expired; null where it does not expire.
    Column("expires_at", BigInteger),
    Column("received_at", BigInteger, nullable=False),
    Column("recalled_at", BigInteger),
    Column("recall_reason", Text, nullable=False),
    Column("expired", Integer, nullable=False),
    Index("ix_lots_expires_at", "expires_at", postgresql_where=text("expired = 0"), sqlite_where=text("expired = 0")),
    Index("ix_lots_batch", "item_id", "batch"),
)  # fmt: skip

BALANCES = Table(
    "stock_balances", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("lot", String(40), primary_key=True),
    Column("state", Integer, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    CheckConstraint("quantity >= 0", name="not_negative"),
    Index("ix_stock_balances_lot", "item_id", "lot", postgresql_where=text("lot <> ''"), sqlite_where=text("lot <> ''")),
)  # fmt: skip

MOVEMENTS = Table(
    "stock_movements", METADATA,
    Column("movement_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("lot", String(40), nullable=False, info=ALIKE),
    Column("from_state", Integer, nullable=False, info=ALIKE),
    Column("to_state", Integer, nullable=False, info=ALIKE),
    Column("quantity", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False, info=ALIKE),
    Column("reason", Text, nullable=False, info=ALIKE),
    Column("document_type", String(40), nullable=False, info=ALIKE),
    Column("document_id", String(64), nullable=False, index=True),
    Column("actor", String(120), nullable=False, info=ALIKE),
    Column("moved_at", BigInteger, nullable=False, info=ALIKE),
    CheckConstraint("quantity > 0", name="positive"),
    Index("ix_stock_movements_item_id_movement_id", "item_id", "movement_id"),
    Index("ix_stock_movements_lot", "item_id", "lot", postgresql_where=text("lot <> ''"), sqlite_where=text("lot <> ''")),
)  # fmt: skip

RESERVATIONS = Table(
    "reservations", METADATA,
    Column("reservation_id", String(40), primary_key=True),
    Column("kind", Integer, nullable=False, info=ALIKE),
    Column("owner_id", String(64), nullable=False),
    Column("line_id", String(64), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("lot", String(40), nullable=False, info=ALIKE),
    Column("reserved", BigInteger, nullable=False),
    Column("allocated", BigInteger, nullable=False, info=ALIKE),
    Column("shipped", BigInteger, nullable=False, info=ALIKE),
    Column("cancelled", BigInteger, nullable=False, info=ALIKE),
    Column("expires_at", BigInteger, info=ALIKE),
    Column("created_at", BigInteger, nullable=False, info=ALIKE),
    Column("priority", Integer, nullable=False, server_default="0", info=ALIKE),
    # So many of a component make one of the kit that the line is for.
    Column("each", Integer, nullable=False, server_default="1", info=ALIKE),
    Column("kit_item_id", String(40), nullable=False, server_default="", info=ALIKE),
    CheckConstraint("reserved >= 0 AND allocated >= 0 AND shipped >= 0 AND cancelled >= 0", name="not_negative"),
    Index("ix_reservations_owner_id", "owner_id", "line_id"),
    Index("ix_reservations_item_id", "item_id", "location_id", postgresql_where=text("reserved > 0"), sqlite_where=text("reserved > 0")),
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
    Column("lot", String(40), nullable=False, server_default=""),
    # The return whose judgement, or the transfer whose arrival, the layer waits for; empty for stock that can be issued.
    Column("held_for", String(64), nullable=False),
    Column("line_id", String(64), nullable=False),
    Column("quantity_in", BigInteger, nullable=False),
    Column("quantity_left", BigInteger, nullable=False),
    Column("value_in_minor", BigInteger, nullable=False),
    Column("value_left_minor", BigInteger, nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    CheckConstraint("quantity_left >= 0 AND value_left_minor >= 0", name="not_negative"),
    Index("ix_cost_layers_document_id", "document_id"),
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
    Column("order_id", String(64), nullable=False, server_default=""),
    Column("channel_id", String(64), nullable=False, server_default=""),
    Index("ix_issues_line_id", "line_id"),
    Index("ix_issues_issued_at", "issued_at"),
)  # fmt: skip

POLICIES = Table(
    "stock_policies", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("share_percent", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False, server_default="0", index=True),
    # A channel is shown nothing below the threshold, and never more than the most.
    Column("threshold", BigInteger, nullable=False, server_default="0"),
    Column("most", BigInteger, nullable=False, server_default="0"),
    # JSON: the locations that a channel sells from; all sourced ones where empty.
    Column("network", Text, nullable=False, server_default=""),
    # The chance of an oversell that a channel may run, in millionths; buffers follow from it.
    Column("risk_ppm", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("item_id", "location_id", "channel_id"),
)  # fmt: skip

# Safety stock that is kept back from a shipping method, instead of what is kept back from others.
METHOD_SAFETY = Table(
    "method_safety", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("shipping_method", String(40), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)  # fmt: skip

# What an item is worth at a location now; its journal tells what it was worth at any moment.
VALUATIONS = Table(
    "valuations", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Index("ix_valuations_location_id", "location_id", "item_id"),
)  # fmt: skip

# Every change of an item's value at a location, with what there was after it. Never changed, never deleted.
VALUE_ENTRIES = Table(
    "value_entries", METADATA,
    Column("position", ROW_ID, primary_key=True, autoincrement=True),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("document_type", String(40), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Column("quantity_after", BigInteger, nullable=False),
    Column("value_after_minor", BigInteger, nullable=False),
    Column("booked_at", BigInteger, nullable=False),
    Index("ix_value_entries_moment", "item_id", "location_id", "booked_at", "position"),
    Index("ix_value_entries_item_id", "item_id", "position"),
    Index("ix_value_entries_booked_at", "booked_at"),
)  # fmt: skip

# What is expected at a location: an open line of a purchase order or of a transfer on its way.
INBOUND = Table(
    "inbound", METADATA,
    Column("inbound_id", String(80), primary_key=True),
    Column("document_type", String(40), nullable=False),
    Column("document_id", String(64), nullable=False, index=True),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("pegged", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("confidence_percent", Integer, nullable=False),
    CheckConstraint("quantity >= 0 AND pegged >= 0", name="not_negative"),
    Index("ix_inbound_item_id", "item_id", "location_id", "due_at", postgresql_where=text("quantity > 0"), sqlite_where=text("quantity > 0")),
)  # fmt: skip

# What is sold and not there yet: backorders and preorders, with the supply that each waits for.
DEMANDS = Table(
    "demands", METADATA,
    Column("demand_id", String(40), primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("owner_id", String(64), nullable=False),
    Column("line_id", String(64), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("wanted_at", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("inbound_id", String(80), nullable=False),
    Column("promised_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    # So many of a component make one of the kit that the line is for.
    Column("each", Integer, nullable=False, server_default="1"),
    Column("kit_item_id", String(40), nullable=False, server_default=""),
    CheckConstraint("quantity >= 0", name="not_negative"),
    Index("ix_demands_owner_id", "owner_id", "line_id"),
    Index("ix_demands_item_id", "item_id", "location_id", postgresql_where=text("quantity > 0"), sqlite_where=text("quantity > 0")),
    Index("ix_demands_inbound_id", "inbound_id", postgresql_where=text("quantity > 0"), sqlite_where=text("quantity > 0")),
)  # fmt: skip

SUPPLIERS = Table(
    "suppliers", METADATA,
    Column("supplier_id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("lead_time_days", Integer, nullable=False),
    Column("confidence_percent", Integer, nullable=False),
    Column("over_delivery_percent", Integer, nullable=False),
    Column("country_code", String(2), nullable=False),
)  # fmt: skip

# What suppliers are paid for what they ship from locations of their own: so much for so many stock units.
DROP_SHIP_PRICES = Table(
    "drop_ship_prices", METADATA,
    Column("location_id", String(40), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("supplier_id", String(40), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("quantity > 0 AND amount_minor >= 0", name="priced"),
)  # fmt: skip

PURCHASE_ORDERS = Table(
    "purchase_orders", METADATA,
    Column("purchase_order_id", String(40), primary_key=True),
    Column("number", String(40), nullable=False, unique=True),
    Column("supplier_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("status", Integer, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("approval_id", String(40), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(120), nullable=False),
    Column("ended_at", BigInteger),
    Index("ix_purchase_orders_status", "status", "purchase_order_id"),
    Index("ix_purchase_orders_supplier_id", "supplier_id", "purchase_order_id"),
    Index("ix_purchase_orders_location_id", "location_id", "purchase_order_id"),
    Index("ix_purchase_orders_ended_at", "ended_at"),
)  # fmt: skip

PURCHASE_LINES = Table(
    "purchase_order_lines", METADATA,
    Column("purchase_order_id", String(40), primary_key=True),
    Column("line_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("ordered", BigInteger, nullable=False),
    Column("confirmed", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("damaged", BigInteger, nullable=False),
    Column("over", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    CheckConstraint("received >= 0 AND damaged >= 0 AND damaged <= received", name="received"),
)  # fmt: skip

APPOINTMENTS = Table(
    "appointments", METADATA,
    Column("appointment_id", String(40), primary_key=True),
    Column("location_id", String(40), nullable=False),
    Column("dock", String(40), nullable=False),
    # JSON: the purchase orders and transfers it brings.
    Column("document_ids", Text, nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    Column("arrived_at", BigInteger),
    Column("finished_at", BigInteger),
    Index("ix_appointments_planned_at", "planned_at", "appointment_id"),
    Index("ix_appointments_finished_at", "finished_at"),
)  # fmt: skip

TRANSFERS = Table(
    "transfers", METADATA,
    Column("transfer_id", String(40), primary_key=True),
    Column("from_location_id", String(40), nullable=False),
    Column("to_location_id", String(40), nullable=False),
    Column("status", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("approval_id", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_transfers_status", "status", "transfer_id"),
)  # fmt: skip

TRANSFER_LINES = Table(
    "transfer_lines", METADATA,
    Column("transfer_id", String(40), primary_key=True),
    Column("line_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("damaged", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    CheckConstraint("received + lost <= shipped AND shipped <= quantity", name="shipped"),
)  # fmt: skip

# How well a class of items, or one item, shall be served: either column of the key is empty.
PLANNING_POLICIES = Table(
    "planning_policies", METADATA,
    Column("abc_class", String(1), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("service_level_permille", Integer, nullable=False),
    Column("review_days", Integer, nullable=False),
    Column("order_cost_minor", BigInteger, nullable=False),
    Column("holding_permille", Integer, nullable=False),
)  # fmt: skip

# What was asked for, by day (since 1970): summed up from what was issued, or made known from before.
DEMAND_DAYS = Table(
    "demand_days", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    # 1 where it was summed up here.
    Column("summed", Integer, nullable=False),
    Index("ix_demand_days_summed", "day", postgresql_where=text("summed = 1"), sqlite_where=text("summed = 1")),
)  # fmt: skip

FORECASTS = Table(
    "forecasts", METADATA,
    Column("item_id", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("pattern", Integer, nullable=False),
    Column("method", Integer, nullable=False),
    Column("per_period_thousandths", BigInteger, nullable=False),
    Column("period_days", Integer, nullable=False),
    Column("cover_days", Integer, nullable=False),
    Column("over_cover_thousandths", BigInteger, nullable=False),
    Column("error_thousandths", BigInteger, nullable=False),
    Column("mase_thousandths", BigInteger, nullable=False),
    Column("naive_mase_thousandths", BigInteger, nullable=False),
    Column("periods", Integer, nullable=False),
    Column("origins", Integer, nullable=False),
    Column("service_level_permille", Integer, nullable=False),
    Column("safety_stock", BigInteger, nullable=False),
    Column("reorder_point", BigInteger, nullable=False),
    Column("forecast_at", BigInteger, nullable=False),
)  # fmt: skip

PROPOSALS = Table(
    "reorder_proposals", METADATA,
    Column("proposal_id", String(40), primary_key=True),
    Column("status", Integer, nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("sku", String(64), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("supplier_id", String(40), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_cost_millionths", BigInteger, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("reason", Text, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("on_order", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("over_cover_thousandths", BigInteger, nullable=False),
    Column("safety_stock", BigInteger, nullable=False),
    Column("reorder_point", BigInteger, nullable=False),
    Column("cover_days", Integer, nullable=False),
    Column("proposed_at", BigInteger, nullable=False),
    Column("decided_by", String(120), nullable=False),
    Column("decided_at", BigInteger),
    Column("note", Text, nullable=False),
    Column("purchase_order_id", String(40), nullable=False),
    CheckConstraint("quantity > 0", name="positive"),
    Index("ix_reorder_proposals_waiting", "proposal_id", postgresql_where=text("status = 1"), sqlite_where=text("status = 1")),
    Index("ix_reorder_proposals_open", "item_id", "location_id", unique=True, postgresql_where=text("status = 1"), sqlite_where=text("status = 1")),
)  # fmt: skip

COUNT_POLICIES = Table(
    "count_policies", METADATA,
    Column("abc_class", String(1), primary_key=True),
    Column("every_days", Integer, nullable=False),
    Column("tolerance_percent", Integer, nullable=False),
    Column("tolerance_quantity", BigInteger, nullable=False),
)  # fmt: skip

COUNTS = Table(
    "counts", METADATA,
    Column("count_id", String(40), primary_key=True),
    Column("item_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    # JSON: a list of {by, at, total, differences}, the differences by lot.
    Column("attempts", Text, nullable=False),
    Column("expected", BigInteger, nullable=False),
    Column("counted", BigInteger, nullable=False),
    Column("difference", BigInteger, nullable=False),
    # What was found and what was missing, over all lots.
    Column("differed", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Column("approval_id", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("ix_counts_open", "due_at", "count_id", postgresql_where=text("ended_at IS NULL"), sqlite_where=text("ended_at IS NULL")),
    Index("ix_counts_item_id", "item_id", "location_id", "created_at"),
    Index("ix_counts_ended_at", "ended_at"),
)  # fmt: skip

FEEDS = Table(
    "stock_feeds", METADATA,
    Column("source", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("feed_id", String(64), primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("lines", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("discrepancies", BigInteger, nullable=False),
    Column("gain_minor", BigInteger, nullable=False),
    Column("loss_minor", BigInteger, nullable=False),
    Column("complete", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index("ix_stock_feeds_received_at", "received_at", "feed_id"),
)  # fmt: skip

# How far each sender's word was taken: the last change's number, and the moment of the last picture.
FEED_MARKS = Table(
    "feed_marks", METADATA,
    Column("source", String(40), primary_key=True),
    Column("location_id", String(40), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("feed_id", String(64), nullable=False),
)  # fmt: skip

DISCREPANCIES = Table(
    "feed_discrepancies", METADATA,
    Column("position", ROW_ID, primary_key=True, autoincrement=True),
    Column("source", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("feed_id", String(64), nullable=False),
    Column("sku", String(64), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("lot", String(40), nullable=False),
    Column("state", Integer, nullable=False),
    Column("reported", BigInteger, nullable=False),
    Column("booked", BigInteger, nullable=False),
    Column("applied", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Index("ix_feed_discrepancies_feed_id", "feed_id", "position"),
)  # fmt: skip

# How late each channel heard of the last changes of stock: nineteen of twenty within so long.
SYNC_LATENCIES = Table(
    "sync_latencies", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("p95_ms", BigInteger, nullable=False),
    Column("reported_at", BigInteger, nullable=False),
)  # fmt: skip

# What a channel keeps back of an item by its accepted risk.
RISK_BUFFERS = Table(
    "risk_buffers", METADATA,
    Column("channel_id", String(40), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("buffer", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False, index=True),
)  # fmt: skip
