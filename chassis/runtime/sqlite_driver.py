"""SQLite statements in one hop to the driver's thread, where SQLAlchemy's adapter needs four (make, run, read, close)."""

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.ext.asyncio import AsyncEngine


class OneHopCursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor that keeps nothing open: what a statement returns is here when it has run."""

    __slots__ = ("_found",)

    def __init__(self, adapt_connection: Any) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows = deque()
        self._found: tuple[Any, int, int | None] = (None, -1, None)

    @property
    def description(self) -> Any:
        """The columns of the rows, None where there can be none."""
        return self._found[0]

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return self._found[1]

    @property
    def lastrowid(self) -> Any:
        """The row id of the last row that was inserted."""
        return self._found[2]

    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        await self._run(lambda connection: connection.execute(operation, parameters or ()))

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        await self._run(lambda connection: connection.executemany(operation, seq_of_parameters))

    async def _run(self, statement: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> None:
        def run() -> tuple[list[Any], tuple[Any, int, int | None]]:
            cursor = statement(self._connection._conn)
            rows = cursor.fetchall() if cursor.description else []
            found = (cursor.description, cursor.rowcount, cursor.lastrowid)
            cursor.close()
            return rows, found

        async with self._adapt_connection._execute_mutex:
            rows, self._found = await self._connection._execute(run)
        self._rows = deque(rows)

    async def _async_soft_close(self) -> None:
        """There is nothing to close."""

    def close(self) -> None:
        """Forgets the rows."""
        self._rows.clear()


class OneHopConnection(AsyncAdapt_aiosqlite_connection):
    """A connection whose cursors are OneHopCursor."""

    __slots__ = ()
    _cursor_cls = OneHopCursor


def in_one_hop(engine: AsyncEngine) -> AsyncEngine:
    """Makes an engine's connections run each statement in one hop."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def _connect(dialect: Any, _: Any, arguments: Any, options: Any) -> OneHopConnection:
        return OneHopConnection(dialect.dbapi, dialect.dbapi.connect(*arguments, **options)._connection)

    return engine
