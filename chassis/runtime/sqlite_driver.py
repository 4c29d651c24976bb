"""SQLite statements in one hop to the driver's thread, where SQLAlchemy's adapter needs four (make, run, read, close).

What answers nothing, BEGIN and plain inserts of many rows, takes no hop of its own: it goes ahead of the next statement,
or of the commit, in theirs. What is wrong with it is raised there.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only as await_

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
        if operation.startswith("BEGIN"):
            self._adapt_connection.ahead.append(lambda connection: _found(connection.execute(operation)))
        else:
            await self._run(lambda connection: _found(connection.execute(operation, parameters or ())))

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        def run(connection: sqlite3.Connection) -> Found:
            if not operation.startswith("INSERT"):
                return _found(connection.executemany(operation, seq_of_parameters))
            parts = [_found(connection.execute(*part)) for part in together(operation, seq_of_parameters)]
            return [], (None, sum(found[1] for _, found in parts), None)

        if operation.startswith("INSERT") and " ON CONFLICT " not in operation:
            self._adapt_connection.ahead.append(run)
            self._answer = (None, len(seq_of_parameters), None)
        else:
            await self._run(run)

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
    """A connection whose cursors are OneHopCursor."""

    __slots__ = ("ahead",)
    _cursor_cls = OneHopCursor

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.ahead: list[Statement] = []

    async def hop(self, statement: Callable[[sqlite3.Connection], T]) -> T:
        """Runs what is to go ahead and the statement on the driver's thread."""
        ahead, self.ahead = self.ahead, []

        def run() -> T:
            for earlier in ahead:
                earlier(self._connection._conn)
            return statement(self._connection._conn)

        return await self._connection._execute(run)  # type: ignore[no-any-return]

    def commit(self) -> None:
        """Runs what is left, then commits, in one hop."""
        try:
            await_(self.hop(sqlite3.Connection.commit))
        except Exception as error:
            self._handle_exception(error)

    def rollback(self) -> None:
        """Forgets what is left and rolls back."""
        self.ahead.clear()
        super().rollback()


def in_one_hop(engine: AsyncEngine) -> AsyncEngine:
    """Makes an engine's connections run each statement in one hop."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def _connect(dialect: Any, _: Any, arguments: Any, options: Any) -> OneHopConnection:
        return OneHopConnection(dialect.dbapi, dialect.dbapi.connect(*arguments, **options)._connection)

    return engine
