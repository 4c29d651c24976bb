"""Multiplies what a suite has stored: every row of history again under other ids, so that tables are as large as in later years."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import Table, cast, func, insert, literal, select, text, true
from sqlalchemy.types import Integer, String

from chassis.runtime.database import Database
from chassis.runtime.settings import SERVICES, Settings
from suite.modules import composed

# What runs, or is a setting, is not history.
LEFT = {
    "leases", "timers", "effects", "parked_events", "audit_rows", "rules", "posting_rules", "accounts", "tax_rates", "rates",
    "locations", "channels", "sourcing_policies", "return_policies", "stock_policies", "number_ranges", "items", "prices", "listings",
    "api_keys", "channel_connections", "file_mappings", "alembic_version", "account_days", "stock_balances", "cost_layers",
    "notice_routes", "notice_templates",
    "customers", "users", "proofs", "subscriptions", "publications", "channel_states",
    "bins", "bin_stock", "cartons", "origins", "valuations", "limits", "suppliers", "count_policies", "feed_marks", "inbound", "demands",
    "rule_sets", "policy_versions", "nodes", "transits", "lanes", "method_safety", "queues", "categories", "planning_policies",
    "drop_ship_prices",
}  # fmt: skip


async def multiply(settings: Settings, times: int, mark: str = "~", services: Sequence[str] = SERVICES) -> int:
    """Writes every row of history `times` - 1 more times and returns how many orders there are; a second time needs another mark."""
    for service in services:
        metadata = composed(service).metadata
        database = Database(settings.database_for(service))
        try:
            for table in metadata.sorted_tables:
                if table.name not in LEFT:
                    await _multiply_table(database, table, times, mark)
            await _settle(database)
        finally:
            await database.close()
    database = Database(settings.database_for("orders"))
    orders = composed("orders").metadata.tables["orders"]
    async with database.read() as tx:
        count = (await tx.read(select(func.count()).select_from(orders)))[0][0]
    await database.close()
    return int(count)


async def _multiply_table(database: Database, table: Table, times: int, mark: str) -> None:
    columns = [column for column in table.columns if not (column.primary_key and isinstance(column.type, Integer) and _counts_up(table))]
    named = {column.name for column in columns if isinstance(column.type, String) and _names(table, column.name)}
    if not named or times < 2:
        return
    copies = select(literal(1).label("n")).cte("copies", recursive=True)
    copies = copies.union_all(select(copies.c.n + 1).where(copies.c.n < times - 1))
    source = table.alias("source")
    other = literal(mark).concat(cast(copies.c.n, String))
    values = [source.c[column.name].concat(other) if column.name in named else source.c[column.name] for column in columns]
    async with database.write() as tx:
        if tx.dialect == "postgresql":
            await tx.write(text("SET LOCAL statement_timeout = 0"))
        await tx.write(
            insert(table).from_select([column.name for column in columns], select(*values).select_from(source.join(copies, true())))
        )


async def _settle(database: Database) -> None:
    """Does what the database would have done over the years: statistics, and what lies in its log written to its place."""
    if database.dialect == "sqlite":
        with closing(sqlite3.connect(database.url.database or "")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    async with database.read() as tx:
        for statement in ("SET statement_timeout = 0", "VACUUM ANALYZE", "CHECKPOINT"):
            await tx.write(text(statement))


def _counts_up(table: Table) -> bool:
    return len(table.primary_key.columns) == 1


def _names(table: Table, name: str) -> bool:
    """Says whether a column names a thing, so that a copy must have another one."""
    shared = {"channel_id", "location_id", "customer_id", "cart_id", "item_id", "rule_id"}
    return (name.endswith("_id") and name not in shared) or (table.name, name) == ("invoices", "number")
