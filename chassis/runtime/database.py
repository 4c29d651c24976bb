"""A service's own database: SQLite or PostgreSQL behind one small face.

SQLite: one writer connection that owns its transactions (BEGIN IMMEDIATE) and its checkpoints, and read-only ones
beside it; the driver's own transaction handling loses updates. PostgreSQL: a small pool; READ COMMITTED with locks.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import ARRAY, BigInteger, Executable, FromClause, LargeBinary, Select, String, Table, Text, bindparam, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool

from chassis.runtime.sqlite_driver import in_one_hop

POSTGRES_TIMEOUTS = {"statement_timeout": "30000", "lock_timeout": "5000", "idle_in_transaction_session_timeout": "30000"}
# A writer looks up by keys, many at once: index lookups in a plan made once, even where a young table has no statistics.
WRITER_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
Cell = str | int | None


class Connection(Protocol):
    """What a transaction needs of a connection; a simulation brings one that never leaves the thread."""

    async def execute(self, statement: Executable, parameters: Any = None) -> Any:
        """Runs one statement."""


class Tx:
    """One transaction, or one read."""

    def __init__(self, connection: Connection, dialect: str) -> None:
        self._connection = connection
        self.dialect = dialect
        self.writes = 0

    async def read(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Returns all rows of a query."""
        return (await self._connection.execute(statement, parameters)).all()  # type: ignore[no-any-return]

    async def write(self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Runs a change, for each of `rows` where given (as one statement), and returns how many rows it touched."""
        if rows is not None and not rows:
            return 0
        self.writes += 1
        return int((await self._connection.execute(*self._together(statement, rows))).rowcount)

    async def returning(self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> Sequence[Any]:
        """Runs a change with RETURNING and returns its rows."""
        if rows is not None and not rows:
            return []
        self.writes += 1
        return (await self._connection.execute(*self._together(statement, rows))).all()  # type: ignore[no-any-return]

    def _together(self, statement: Any, rows: Sequence[Mapping[str, Any]] | None) -> tuple[Executable, Any]:
        """Makes an INSERT of many rows one statement on PostgreSQL, where the driver would send each row by itself."""
        if self.dialect != "postgresql" or rows is None or not statement.is_insert:
            return statement, rows
        names = tuple(rows[0])
        return statement.from_select(names, _of_arrays(statement.table, names), False), {
            name: [row[name] for row in rows] for name in names
        }

    def rows(self, name: str, columns: Mapping[str, type[str] | type[int]], values: Sequence[Sequence[Cell]]) -> FromClause:
        """Returns `values` as a table to join with: one parameter a column, however many rows.

        `columns` gives each column's name and type in the order of the values.
        """
        if self.dialect == "postgresql":
            arrays = [
                bindparam(f"{name}_{key}", [row[i] for row in values], type_=ARRAY(Text if kind is str else BigInteger), unique=True)
                for i, (key, kind) in enumerate(columns.items())
            ]
            return func.unnest(*arrays).table_valued(*columns, name=name).render_derived()
        each = func.json_each(bindparam(f"{name}_json", json.dumps(values), unique=True)).table_valued("value", name=f"{name}_each")
        cells = [
            func.json_extract(each.c.value, f"$[{i}]", type_=Text() if kind is str else BigInteger()).label(key)
            for i, (key, kind) in enumerate(columns.items())
        ]
        return select(*cells).subquery(name)


@lru_cache(1024)
def _of_arrays(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Returns a query of rows for a table's columns, each column an array given as a parameter of its name."""
    kinds = {LargeBinary: LargeBinary, String: Text}
    types = [next((use for kind, use in kinds.items() if isinstance(table.c[name].type, kind)), BigInteger) for name in names]
    arrays: list[Any] = [bindparam(name, type_=ARRAY(use)) for name, use in zip(names, types, strict=True)]
    found = func.unnest(*arrays).table_valued(*names, name="given").render_derived()
    return select(*found.c)


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
    engine = in_one_hop(create_async_engine(url, poolclass=StaticPool, connect_args={"isolation_level": None, "timeout": 10}))

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
