"""A service's own database: SQLite or PostgreSQL behind one small face.

SQLite: one writer connection that owns its transactions (BEGIN IMMEDIATE) and its checkpoints, and read-only ones
beside it; the driver's own transaction handling loses updates. PostgreSQL: a small pool; READ COMMITTED with locks.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from sqlalchemy import Executable, Table, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool

from chassis.runtime import statements
from chassis.runtime.sqlite_driver import in_one_hop
from chassis.runtime.statements import Cell, Condition, Names

POSTGRES_TIMEOUTS = {"statement_timeout": "30000", "lock_timeout": "5000", "idle_in_transaction_session_timeout": "30000"}
# A writer looks up by keys, many at once: index lookups in a plan made once, even where a young table has no statistics.
WRITER_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


class Connection(Protocol):
    """What a transaction needs of a connection; a simulation brings one that never leaves the thread."""

    async def execute(self, statement: Executable, parameters: Any = None) -> Any:
        """Runs one statement."""

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> Any:
        """Runs the driver's own text, with a list of rows of cells."""


class Tx:
    """One transaction, or one read."""

    def __init__(self, connection: Connection, dialect: str) -> None:
        self._connection = connection
        self.dialect = dialect
        self.writes = 0

    async def read(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Returns all rows of a query."""
        return (await self._connection.execute(statement, parameters)).all()  # type: ignore[no-any-return]

    async def write(self, statement: Executable, parameters: Any = None) -> int:
        """Runs a change and returns how many rows it touched."""
        self.writes += 1
        return int((await self._connection.execute(statement, parameters)).rowcount)

    async def find(
        self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]], *,
        only: Names = (), where: Condition = (), order: Names = (), lock: bool = False,
    ) -> Sequence[Any]:  # fmt: skip
        """Returns the rows whose columns `by` equal one of the keys, locked in their `order` where `lock` is set.

        `only` names the columns wanted, all where empty; `where` are conditions beside, constants of their module.
        """
        wanted = list(keys)
        if not wanted:
            return []
        statement = statements.find(self.dialect, table, by, only, where, order, lock)
        return await self.read(statement, statements.parameters(self.dialect, "wanted", by, wanted))

    async def insert(self, table: Table, rows: Sequence[Mapping[str, Any]], *, once: bool = False) -> int:
        """Writes new rows; `once` leaves out those whose key is there already. Returns how many are new."""
        if not rows:
            return 0
        names = tuple(rows[0])
        if self.dialect == "postgresql":
            return await self.write(statements.insert(table, names, once), self._fresh(names, rows))
        self.writes += 1
        text, names = statements.insert_text(table, names, once)
        result = await self._connection.exec_driver_sql(text, [tuple([row[name] for name in names]) for row in rows])
        return int(result.rowcount)

    async def merge(
        self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), returning: Names = ()
    ) -> Sequence[Any]:
        """Writes rows, or changes those whose key `by` is there: columns in `add` are added to what is there, others are set.

        No two rows may have one key. Returns the columns `returning` as they are then.
        """
        if not rows:
            return []
        names = tuple(rows[0])
        statement = statements.merge(self.dialect, table, names, by, add, returning)
        self.writes += 1
        result = await self._connection.execute(statement, self._fresh(names, rows))
        return result.all() if returning else []

    async def change(self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), where: Condition = ()) -> int:
        """Changes the rows that the columns `by` name: columns in `add` are added to what is there, others are set.

        A row where a sum would fall below zero stays as it is. No two may name the same row. Returns how many were changed.
        """
        if not rows:
            return 0
        names = tuple(rows[0])
        cells = [tuple(row.values()) for row in rows]
        return await self.write(
            statements.change(self.dialect, table, by, names, add, where), statements.parameters(self.dialect, "new", names, cells)
        )

    async def remove(self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]]) -> int:
        """Deletes the rows whose columns `by` equal one of the keys."""
        gone = list(keys)
        if not gone:
            return 0
        return await self.write(statements.remove(self.dialect, table, by), statements.parameters(self.dialect, "gone", by, gone))

    def _fresh(self, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Any:
        if self.dialect == "sqlite":
            return list(rows)
        return {f"fresh_{name}": [row[name] for row in rows] for name in names}


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
                yield Tx(connection, self.dialect)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Opens a read."""
        async with self._reader.connect() as connection:
            yield Tx(connection, self.dialect)

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
    connect = {"server_settings": {**POSTGRES_TIMEOUTS, **settings}, "prepared_statement_cache_size": 1000}
    return create_async_engine(url, pool_size=size, max_overflow=0, connect_args=connect, **options)
