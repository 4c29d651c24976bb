"""SQLite's transactions: every statement in one hop to the driver's thread, where SQLAlchemy's adapter needs four.

What answers nothing, BEGIN too, takes no hop of its own: it goes ahead of the next statement in that one's.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable, Table, event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.runtime import statements
from chassis.runtime.statements import Names, Ready
from chassis.runtime.tx import Connection, Tx, need_all

MOST_TOGETHER = 64
T = TypeVar("T")
Answer = tuple[Any, int, int | None]
Found = tuple[list[Any], Answer]
Statement = Callable[[sqlite3.Connection], Found]


def _found(cursor: sqlite3.Cursor) -> Found:
    rows = cursor.fetchall() if cursor.description else []
    answer = (cursor.description, cursor.rowcount, cursor.lastrowid)
    cursor.close()
    return rows, answer


def _begins(text: str) -> Statement:
    return lambda connection: _found(connection.execute(text))


IMMEDIATE, DEFERRED = _begins("BEGIN IMMEDIATE"), _begins("BEGIN")


def together(operation: str, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Yields an INSERT of single rows as INSERTs of 64, 32, … 1 rows: each step of a statement gives up the interpreter."""
    start, size = 0, MOST_TOGETHER
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield _of(operation, size), list(chain.from_iterable(rows[start : start + size]))
        start += size


@lru_cache(1024)
def _of(operation: str, size: int) -> str:
    before, values, rest = operation.partition(" VALUES ")
    row, close, after = rest.partition(")")
    return before + values + ", ".join([row + close] * size) + after


class OneHopCursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor that keeps nothing open: what a statement returns is here when it has run."""

    __slots__ = ("_answer",)

    _adapt_connection: "OneHopConnection"

    def __init__(self, adapt_connection: Any) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows = deque()
        self._answer: Answer = (None, -1, None)

    @property
    def description(self) -> Any:
        """The columns of the rows, None where there can be none."""
        return self._answer[0]

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return self._answer[1]

    @property
    def lastrowid(self) -> Any:
        """The row id of the last row that was inserted."""
        return self._answer[2]

    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        await self._run(lambda connection: _found(connection.execute(operation, parameters or ())))

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        await self._run(lambda connection: _found(connection.executemany(operation, seq_of_parameters)))

    async def _run(self, statement: Statement) -> None:
        async with self._adapt_connection._execute_mutex:
            rows, self._answer = await self._adapt_connection.hop(statement)
        self._rows = deque(rows)

    async def _async_soft_close(self) -> None:
        """There is nothing to close."""

    def close(self) -> None:
        """Forgets the rows."""
        self._rows.clear()


class OneHopConnection(AsyncAdapt_aiosqlite_connection):
    """A connection whose cursors are OneHopCursor, and that ends at once where who waited for it does not any more."""

    __slots__ = ("ahead",)
    _cursor_cls = OneHopCursor

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.ahead: list[Statement] = []

    async def hop(self, statement: Callable[[sqlite3.Connection], T]) -> T:
        """Runs what is to go ahead and the statement on the driver's thread; who does not wait any more stops it."""
        ahead, self.ahead = self.ahead, []

        def run() -> T:
            for earlier in ahead:
                earlier(self._connection._conn)
            return statement(self._connection._conn)

        try:
            return await self._connection._execute(run)  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            self._connection._conn.interrupt()
            raise

    def terminate(self) -> None:
        """Stops what runs, and closes after it, without waiting: a driver's close that is waited for and cancelled never ends."""
        self._connection._conn.interrupt()
        self._connection.stop()


class Driver(Protocol):
    """What runs statements where the database is; a simulation brings one that never leaves the thread."""

    ahead: list[Statement]

    async def hop(self, statement: Callable[[sqlite3.Connection], T]) -> T:
        """Runs what is to go ahead, then the statement."""


class SqliteTx(Tx):
    """A transaction or a read on SQLite."""

    dialect = "sqlite"

    def __init__(self, connection: Connection, driver: Driver, begin: Statement) -> None:
        super().__init__(connection)
        self._driver = driver
        driver.ahead.append(begin)

    async def commit(self) -> None:
        """Runs what is left and commits."""
        await self._run("COMMIT", sqlite3.Connection.commit)

    async def roll_back(self) -> None:
        """Forgets what is left and rolls back."""
        self._driver.ahead.clear()
        await self._driver.hop(sqlite3.Connection.rollback)

    async def join(self, gate: int) -> None:
        """Only one writes at a time."""

    async def close(self, gate: int) -> bool:
        """Only one writes at a time."""
        del gate
        return False

    async def shut(self, table: Table) -> bool:
        """Only one writes at a time."""
        del table
        return False

    async def _before(self) -> None:
        """There is nothing to do: what goes ahead goes with any statement."""

    async def _fetch(self, one: Ready, cells: Sequence[Any], locks: bool) -> Sequence[Sequence[Any]]:
        del locks
        rows, _ = await self._run(one.text, lambda connection: _found(connection.execute(one.text, cells)))
        return rows

    async def _later(self, one: Ready, cells: Sequence[Any], must: int | None = None) -> None:
        def run(connection: sqlite3.Connection) -> Found:
            found = _found(connection.execute(one.text, cells))
            need_all(one.table, found[1][1] if must else len(found[0]), must)
            return found

        self._driver.ahead.append(run)

    async def _insert(self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], once: bool, must: bool) -> int:
        one = statements.insert_text(table, names, once or must)
        each = _each(one, rows, len(rows) if must else None)
        if once and not must:
            return (await self._run(one.text, each))[1][1]
        self._driver.ahead.append(each)
        return len(rows)

    async def _merge(
        self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], statement: Executable, answers: bool
    ) -> Sequence[Sequence[Any]]:
        one = statements.repeated(table, statement, names)
        each = _each(one, rows)
        if answers:
            return (await self._run(one.text, each))[0]
        self._driver.ahead.append(each)
        return []

    async def _run(self, text: str, statement: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._driver.hop(statement)
        except sqlite3.Error as error:
            raise DBAPIError(text, None, error) from error


def driver_of(connection: AsyncConnection) -> Driver:
    """Returns the driver of a connection."""
    sync: Any = connection.sync_connection
    return sync.connection.dbapi_connection  # type: ignore[no-any-return]


def _each(one: Ready, rows: Sequence[Mapping[str, Any]], must: int | None = None) -> Statement:
    """Returns what inserts rows, so many of which must be new, and what that returns of all of them."""
    cells = [[row[name] for name in one.names] for row in rows]

    def run(connection: sqlite3.Connection) -> Found:
        parts = [_found(connection.execute(*part)) for part in together(one.text, cells)]
        count = sum(answer[1] for _, answer in parts)
        need_all(one.table, count, must)
        return [row for found, _ in parts for row in found], (None, count, None)

    return run


def in_one_hop(engine: AsyncEngine) -> AsyncEngine:
    """Makes an engine's connections run each statement in one hop."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def _connect(dialect: Any, _: Any, arguments: Any, options: Any) -> OneHopConnection:
        return OneHopConnection(dialect.dbapi, dialect.dbapi.connect(*arguments, **options)._connection)

    return engine
