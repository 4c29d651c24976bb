"""Looks that a writer repeats go by their index, also where it is a partial one and the plan is made once for all parameters."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Table, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.runtime import statements
from chassis.runtime.database import Database
from chassis.runtime.settings import Settings
from chassis.runtime.statements import Condition, Names
from services.inventory.app import demands, expected_returns, lots, replenish, supply
from services.inventory.store import stock_book
from services.inventory.store.tables import DEMANDS, INBOUND, LAYERS, PROPOSALS, RESERVATIONS

KEY = ("item_id", "location_id")


def find(table: Table, by: Names, where: Condition = (), order: Names = ()) -> Callable[[str, int], Any]:
    """Returns what builds a look by so many keys."""
    return lambda dialect, count: statements.find(
        dialect, table, by, (), where, order, lone=statements.is_lone(count, where), lock=False, share=False
    )


LOOKS: dict[str, Callable[[str, int], Any]] = {
    "ix_cost_layers_open": find(LAYERS, KEY, stock_book.OPEN_LAYERS, ("position",)),
    "ix_value_entries_moment": lambda dialect, _: stock_book.last_costs(dialect),
    "ix_cost_layers_document_id": find(LAYERS, ("document_id",)),
    "ix_demands_item_id": find(DEMANDS, KEY, supply.WAITING),
    "ix_inbound_item_id": find(INBOUND, KEY, supply.COMING),
    "ix_inbound_document_id": find(INBOUND, ("document_id",), expected_returns.PENDING),
    "ix_reservations_item_id": find(RESERVATIONS, KEY, demands.STILL_RESERVED),
    "ix_reorder_proposals_open": find(PROPOSALS, KEY, replenish.IS_OPEN),
    "ix_lots_expires_at": lambda dialect, _: lots.LATE_LOTS,
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


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("index", LOOKS)
async def test_a_look_goes_by_its_index(database: Database, index: str, count: int) -> None:
    async with database.connection() as connection:
        found = await plan(connection, LOOKS[index](database.dialect, count))
    assert index in found, found
