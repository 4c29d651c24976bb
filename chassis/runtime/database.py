"""A service's own database: SQLite or PostgreSQL behind one small face.

SQLite: one writer connection that owns its transactions (BEGIN IMMEDIATE) and its checkpoints, and read-only ones
beside it; the driver's own transaction handling loses updates. PostgreSQL: a few connections; READ COMMITTED with locks.
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
from chassis.runtime.sqlite_driver import DEFERRED, IMMEDIATE, SqliteTx, driver_of, in_one_hop
from chassis.runtime.tx import Tx

# Who drives a connection's transactions begins them, not SQLAlchemy.
OWN_BEGIN = "own_begin"
SQLITE_READERS = POSTGRES_READERS = 4
POSTGRES_WRITERS = 3
LONGEST_WAIT_S = 30
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
READER_PLANS = {"jit": "off"}


class Kept:
    """Connections that are kept open, so many at most: a pool takes as long over one as a short transaction does."""

    def __init__(self, engine: AsyncEngine, most: int, **options: Any) -> None:
        self._engine = engine
        self._options = options
        self._turns = asyncio.Semaphore(most)
        self._idle: list[AsyncConnection] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[AsyncConnection]:
        """Lends one; what is broken afterwards is not kept."""
        await self._turn()
        try:
            connection = await self._take()
            try:
                yield connection
            finally:
                await self._give_back(connection)
        finally:
            self._turns.release()

    async def _turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await self._turns.acquire()
        except TimeoutError:
            raise ConnectionError(f"no connection to the database came free within {LONGEST_WAIT_S} s") from None

    async def _take(self) -> AsyncConnection:
        while self._idle:
            if is_alive(kept := self._idle.pop()):
                return kept
            await drop(kept)
        return await (await self._engine.connect()).execution_options(**self._options)

    async def _give_back(self, connection: AsyncConnection) -> None:
        if is_alive(connection):
            self._idle.append(connection)
        else:
            await drop(connection)

    async def close(self) -> None:
        """Closes them."""
        for connection in self._idle:
            await connection.close()
        self._idle.clear()


class Database:
    """A service's database. `write()` gives a transaction, `read()` a consistent look without one."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        if self.dialect == "sqlite":
            self._writer, self._reader = _sqlite_writer(url), _sqlite_reader(self.url.database or "")
            self._writing = Kept(self._writer, 1, **{OWN_BEGIN: True})
            self._reading = Kept(self._reader, SQLITE_READERS, **{OWN_BEGIN: True})
        else:
            # One more for migrations.
            self._writer, self._reader = _postgres(url, POSTGRES_WRITERS + 1, WRITER_PLANS), _postgres(url, POSTGRES_READERS, READER_PLANS)
            self._writing = Kept(self._writer, POSTGRES_WRITERS, isolation_level="AUTOCOMMIT")
            self._reading = Kept(self._reader, POSTGRES_READERS, isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """Opens a transaction that commits at the end, or rolls back where the block raises."""
        async with self._writing.one() as connection:
            tx = SqliteTx(connection, driver_of(connection), IMMEDIATE) if self.dialect == "sqlite" else PostgresTx(connection, begins=True)
            try:
                yield tx
                await tx.commit()
            except BaseException:
                await _roll_back(tx, connection)
                raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Opens a read. On PostgreSQL a statement is its own consistent look, so there is no transaction around it."""
        async with self._reading.one() as connection:
            if self.dialect == "postgresql":
                yield PostgresTx(connection)
                return
            tx = SqliteTx(connection, driver_of(connection), DEFERRED)
            try:
                yield tx
            finally:
                await _roll_back(tx, connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Opens a bare connection, for migrations."""
        async with self._writer.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Closes all connections."""
        for kept in (self._writing, self._reading):
            await kept.close()
        await self._writer.dispose()
        await self._reader.dispose()


async def _roll_back(tx: SqliteTx | PostgresTx, connection: AsyncConnection) -> None:
    """Rolls back; a connection that cannot is not kept. One on which a wait was cancelled is none any more."""
    if not is_alive(connection):
        return
    try:
        await tx.roll_back()
    except BaseException:
        await connection.invalidate()
        raise


def is_alive(connection: AsyncConnection) -> bool:
    """Says whether a connection is still one."""
    sync: Any = connection.sync_connection
    if sync.invalidated:
        return False
    return connection.dialect.name == "sqlite" or not sync.connection.dbapi_connection.driver_connection.is_closed()


async def drop(connection: AsyncConnection) -> None:
    """Closes a connection that is none any more."""
    await connection.invalidate()
    await connection.close()


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
        if OWN_BEGIN not in connection.get_execution_options():
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _sqlite_reader(path: str) -> AsyncEngine:
    engine = in_one_hop(
        create_async_engine(
            f"sqlite+aiosqlite:///file:{path}?mode=ro&uri=true",
            poolclass=AsyncAdaptedQueuePool,
            pool_size=SQLITE_READERS,
            connect_args={"isolation_level": None, "timeout": 10},
        )
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        for pragma in ("query_only=ON", "busy_timeout=10000", "wal_autocheckpoint=0", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _postgres(url: str, size: int, settings: Mapping[str, str], **options: Any) -> AsyncEngine:
    connect = {"server_settings": {**POSTGRES_TIMEOUTS, **settings}, "prepared_statement_cache_size": 1000, **KEPT_STATEMENTS}
    return create_async_engine(url, pool_size=size, max_overflow=0, connect_args=connect, **options)
