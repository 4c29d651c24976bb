"""An inventory whose Reserve works statement by statement, a transaction for each: the same server, authentication and validation.

What it keeps is what inventory keeps at the least: the answer under its request_id, the stock, the reservation, the movement and
the event. On PostgreSQL through asyncpg, on SQLite through aiosqlite, without SQLAlchemy: the fastest of the classic ways.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiosqlite
import asyncpg

from argosy.inventory.v1 import reservations_service_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.contracts import Method
from chassis.runtime.pipeline import Pipeline
from suite.cli import serve

CONNECTIONS = 16
STOCK = 1_000_000_000
TABLES = (
    "CREATE TABLE IF NOT EXISTS requests (id text PRIMARY KEY, answer {bytes} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS stock (item text PRIMARY KEY, free bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS reservations (id text PRIMARY KEY, owner text NOT NULL, item text NOT NULL, quantity bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS movements (id text PRIMARY KEY, item text NOT NULL, quantity bigint NOT NULL, document text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS events (id text PRIMARY KEY, payload {bytes} NOT NULL)",
)
Statement = Callable[..., Awaitable[Sequence[Any] | None]]
_opening = asyncio.Lock()
_open: dict[str, Any] = {}


async def _transaction(work: Callable[[Statement], Awaitable[Any]]) -> Any:
    url = os.environ["CLASSIC_DATABASE"]
    async with _opening:
        if not _open:
            await (_open_postgres(url) if url.startswith("postgresql") else _open_sqlite(url))
    if "pool" in _open:
        async with _open["pool"].acquire() as connection, connection.transaction():
            return await work(connection.fetchrow)
    async with _open["lock"]:
        connection = _open["sqlite"]
        await connection.execute("BEGIN IMMEDIATE")

        async def statement(text: str, *values: Any) -> Sequence[Any] | None:
            async with connection.execute(text.replace(" FOR UPDATE", ""), values) as rows:
                return await rows.fetchone()  # type: ignore[no-any-return]

        try:
            answer = await work(statement)
        except BaseException:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        return answer


async def _open_postgres(url: str) -> None:
    _open["pool"] = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    for table in TABLES:
        await _open["pool"].execute(table.format(bytes="bytea"))


async def _open_sqlite(path: str) -> None:
    _open["lock"], _open["sqlite"] = asyncio.Lock(), await aiosqlite.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        await _open["sqlite"].execute(f"PRAGMA {pragma}")
    for table in TABLES:
        await _open["sqlite"].execute(table.format(bytes="blob"))


async def reserve(_: Pipeline, __: Method, request: Any, *___: Any) -> Any:
    """Reserves each line for itself."""

    async def work(statement: Statement) -> Any:
        before = await statement("SELECT answer FROM requests WHERE id = $1", request.request_id)
        if before is not None:
            return reservations_service_pb2.ReserveResponse.FromString(before[0])
        answer = reservations_service_pb2.ReserveResponse()
        for line in request.lines:
            row = await statement("SELECT free FROM stock WHERE item = $1 FOR UPDATE", line.item_id)
            if row is None:
                await statement("INSERT INTO stock VALUES ($1, $2) ON CONFLICT DO NOTHING", line.item_id, STOCK)
            elif row[0] < line.quantity:
                raise FailedPrecondition("INSUFFICIENT_STOCK", "out of stock")
            await statement("UPDATE stock SET free = free - $1 WHERE item = $2", line.quantity, line.item_id)
            made = answer.reservations.add(reservation_id=new_id(), item_id=line.item_id, line_id=line.line_id)
            await statement(
                "INSERT INTO reservations VALUES ($1, $2, $3, $4)", made.reservation_id, request.order_id, line.item_id, line.quantity
            )
            await statement("INSERT INTO movements VALUES ($1, $2, $3, $4)", new_id(), line.item_id, -line.quantity, request.order_id)
        await statement("INSERT INTO events VALUES ($1, $2)", new_id(), request.SerializeToString())
        await statement("INSERT INTO requests VALUES ($1, $2)", request.request_id, answer.SerializeToString())
        return answer

    return await _transaction(work)


if __name__ == "__main__":
    Pipeline._execute = reserve  # type: ignore[method-assign, assignment]
    serve("inventory")
    if "sqlite" in _open:
        # Its thread would keep the process from ending.
        _open["sqlite"].stop()
