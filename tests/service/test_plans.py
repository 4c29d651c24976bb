"""Looks that a writer repeats go by their index, also where it is a partial one and the plan is made once for all parameters."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.runtime import statements
from chassis.runtime.database import Database
from chassis.runtime.settings import Settings
from services.inventory.app import demands, expected_returns, lots, replenish, supply
from services.inventory.store import stock_book
from services.inventory.store.tables import DEMANDS, INBOUND, LAYERS, PROPOSALS, RESERVATIONS

KEY = ("item_id", "location_id")
LOOKS = {
    "ix_cost_layers_open": lambda d: statements.find(d, LAYERS, KEY, (), stock_book.OPEN_LAYERS, ("position",), False),
    "ix_value_entries_moment": stock_book.last_costs,
    "ix_cost_layers_document_id": lambda d: statements.find(d, LAYERS, ("document_id",), (), (), (), False),
    "ix_demands_item_id": lambda d: statements.find(d, DEMANDS, KEY, (), supply.WAITING, (), False),
    "ix_inbound_item_id": lambda d: statements.find(d, INBOUND, KEY, (), supply.COMING, (), False),
    "ix_inbound_document_id": lambda d: statements.find(d, INBOUND, ("document_id",), (), expected_returns.PENDING, (), False),
    "ix_reservations_item_id": lambda d: statements.find(d, RESERVATIONS, KEY, (), demands.STILL_RESERVED, (), False),
    "ix_reorder_proposals_open": lambda d: statements.find(d, PROPOSALS, KEY, (), replenish.IS_OPEN, (), False),
    "ix_lots_expires_at": lambda d: lots.LATE_LOTS,
}


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    found = Database(settings.database_for("inventory"))
    yield found
    await found.close()


async def plan(connection: AsyncConnection, statement: Any) -> str:
    """Returns how a statement is done, whatever its parameters will be."""
    if connection.dialect.name == "sqlite":
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
        explain = text(f"EXPLAIN QUERY PLAN {compiled}").bindparams(**dict.fromkeys(compiled.params, ""))
        return "\n".join(str(row) for row in (await connection.execute(explain)).all())
    prepared = str(statement.compile(dialect=asyncpg.dialect()))
    nothing = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", prepared))))
    await connection.exec_driver_sql(f"PREPARE look AS {prepared}")
    rows = (await connection.exec_driver_sql(f"EXPLAIN EXECUTE look({nothing})")).all()
    return "\n".join(str(row) for row in rows)


@pytest.mark.parametrize("index", LOOKS)
async def test_a_look_goes_by_its_index(database: Database, index: str) -> None:
    async with database.connection() as connection:
        found = await plan(connection, LOOKS[index](database.dialect))
    assert index in found, found
