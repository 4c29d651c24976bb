"""PostgreSQL's transactions: those statements that go straight to asyncpg.

Inserts that answer nothing are not sent by themselves: they go ahead of the next statement, in the same one, or of the commit.
What is wrong with them is raised there.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import asyncpg.exceptions as failures
from sqlalchemy import Executable, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.runtime import statements
from chassis.runtime.statements import Names, Ready
from chassis.runtime.tx import Tx

PLACE = re.compile(r"\$(\d+)")
# What a driver raises where the database refuses, the connection is gone, or it was given what it cannot send.
FAILURES = (failures.PostgresError, failures.InterfaceError, OSError)


@lru_cache(statements.MANY)
def together(texts: tuple[str, ...]) -> str:
    """Makes one statement of inserts and a last statement, which answers."""
    parts, taken = [], 0
    for text in texts:
        parts.append(_moved(text, taken))
        taken += max((int(place) for place in PLACE.findall(text)), default=0)
    ahead = ", ".join(f"ahead_{number} AS ({part})" for number, part in enumerate(parts[:-1]))
    return f"WITH {ahead} {parts[-1]}"


def _moved(text: str, by: int) -> str:
    return PLACE.sub(lambda place: f"${int(place[1]) + by}", text)


class PostgresTx(Tx):
    """A read on PostgreSQL, or a transaction: that begins with its first statement."""

    dialect = "postgresql"

    def __init__(self, connection: AsyncConnection, *, begins: bool = False) -> None:
        super().__init__(connection)
        self._pooled = connection
        assert connection.sync_connection is not None
        self._adapted: Any = connection.sync_connection.connection.dbapi_connection
        self._ahead: list[tuple[Ready, list[Any]]] = []
        self._begins = begins
        self._begun = False

    async def commit(self) -> None:
        """Sends what is left and commits."""
        await self.send()
        if self._begun:
            await self._drive("execute", "COMMIT")

    async def roll_back(self) -> None:
        """Forgets what is left and rolls back."""
        self._ahead.clear()
        if self._begun:
            await self._drive("execute", "ROLLBACK")

    async def _before(self) -> None:
        await self.send()
        await self._begin()

    async def _fetch(self, one: Ready, cells: Sequence[Any]) -> Sequence[Sequence[Any]]:
        return await self._run("fetch", one, cells)  # type: ignore[no-any-return]

    async def _execute(self, one: Ready, cells: Sequence[Any]) -> int:
        return _count(await self._run("execute", one, cells))

    async def _insert(self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], once: bool) -> int:
        one = statements.ready(self.dialect, table, statements.insert(table, names, once))
        cells = one.cells(statements.fresh(table, names, rows))
        if once:
            return await self._execute(one, cells)
        self._ahead.append((one, cells))
        return len(rows)

    async def _merge(self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], statement: Executable) -> Sequence[Sequence[Any]]:
        one = statements.ready(self.dialect, table, statement)
        return await self._fetch(one, one.cells(statements.fresh(table, names, rows)))

    async def send(self) -> None:
        """Sends what was to go ahead of something."""
        if self._ahead:
            await self._run("execute", *self._ahead.pop())

    async def _run(self, how: str, one: Ready, cells: Sequence[Any]) -> Any:
        """Runs a statement with what goes ahead of it, unless that is on the same table: it would not see it."""
        if any(earlier.table is one.table for earlier, _ in self._ahead):
            await self.send()
        ahead, self._ahead = self._ahead, []
        await self._begin()
        if not ahead:
            return await self._drive(how, one.text, *cells)
        text = together((*(earlier.text for earlier, _ in ahead), one.text))
        return await self._drive(how, text, *(cell for _, part in ahead for cell in part), *cells)

    async def _begin(self) -> None:
        if self._begins and not self._begun:
            self._begun = True
            await self._drive("execute", "BEGIN")

    async def _drive(self, how: str, text: str, *cells: Any) -> Any:
        async with self._adapted._execute_mutex:
            driver = self._adapted._connection
            try:
                return await getattr(driver, how)(text, *cells)
            except FAILURES as error:
                if driver.is_closed():
                    await self._pooled.invalidate()
                raise DBAPIError(text, None, error) from error


def _count(status: str) -> int:
    """Returns how many rows a change touched, by what the server says: UPDATE 3."""
    return int(status.rsplit(" ", 1)[1])
