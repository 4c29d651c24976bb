"""A service's own database: SQLite or PostgreSQL behind one small face.

SQLite: one writer connection that owns its transactions (BEGIN IMMEDIATE) and its checkpoints, and read-only ones
beside it; the driver's own transaction handling loses updates. PostgreSQL: a small pool; READ COMMITTED with locks.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool

from chassis.runtime.postgres_driver import PostgresTx
from chassis.runtime.sqlite_driver import in_one_hop
from chassis.runtime.tx import Tx

POSTGRES_TIMEOUTS = {"statement_timeout": "30000", "lock_timeout": "5000", "idle_in_transaction_session_timeout": "30000"}
# Of what the driver is given by itself, as many are kept prepared, for good.
KEPT_STATEMENTS = {"statement_cache_size": 1000, "max_cached_statement_lifetime": 0}
# A writer looks up by keys, many at once: index lookups in a plan made once, even where a young table has no statistics.
WRITER_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


class Database:
    """A service's database. `write()` gives a transaction, `read()` a consistent look without one."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        self._write_lock = asyncio.Lock()
        if self.dialect == "sqlite":
            self._writer = _sqlite_writer(url)
            self._reader = _sqlite_reader(self.url.database or "")
        else:
            self._writer = _postgres(url, 2, WRITER_PLANS)
            # A statement is its own consistent look under READ COMMITTED, so a read needs no transaction around it.
            self._reader = _postgres(url, 4, {"jit": "off"}, isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """Opens a transaction that commits at the end, or rolls back where the block raises."""
        if self.dialect == "sqlite":
            async with self._write_lock, self._writer.begin() as connection:
                yield Tx(connection, self.dialect)
        else:
            async with self._writer.begin() as connection:
                tx = PostgresTx(connection)
                yield tx
                await tx.send()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Opens a read."""
        async with self._reader.connect() as connection:
            yield Tx(connection, self.dialect) if self.dialect == "sqlite" else PostgresTx(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Opens the writer's bare connection, for migrations."""
        async with self._writer.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Closes all connections."""
        await self._writer.dispose()
        await self._reader.dispose()


def _sqlite_writer(url: str) -> AsyncEngine:
    engine = in_one_hop(
        create_async_engine(url, poolclass=StaticPool, connect_args={"isolation_level": None, "timeout": 10, "cached_statements": 512})
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _sqlite_reader(path: str) -> AsyncEngine:
    engine = in_one_hop(
        create_async_engine(
            f"sqlite+aiosqlite:///file:{path}?mode=ro&uri=true",
            poolclass=AsyncAdaptedQueuePool,
            pool_size=4,
            connect_args={"isolation_level": None, "timeout": 10},
        )
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        for pragma in ("query_only=ON", "busy_timeout=10000", "wal_autocheckpoint=0", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _postgres(url: str, size: int, settings: Mapping[str, str], **options: Any) -> AsyncEngine:
    connect = {"server_settings": {**POSTGRES_TIMEOUTS, **settings}, "prepared_statement_cache_size": 1000, **KEPT_STATEMENTS}
    return create_async_engine(url, pool_size=size, max_overflow=0, connect_args=connect, **options)
