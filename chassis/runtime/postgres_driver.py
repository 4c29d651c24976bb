"""PostgreSQL's keyed statements straight to the driver: SQLAlchemy compiles each once and takes no part in running it.

It would take twice as long over a statement as the driver does. Inserts that answer nothing are not sent by themselves: they
go ahead of the next statement, in the same one, or of the commit. What is wrong with them is raised there.
"""

import re
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg.exceptions as failures
from sqlalchemy import Executable, Table
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.runtime import statements
from chassis.runtime.statements import Cell, Condition, Names
from chassis.runtime.tx import Tx

DIALECT = dialect()  # type: ignore[no-untyped-call]
PLACE = re.compile(r"\$(\d+)")
# What a driver raises where the database refuses, the connection is gone, or it was given what it cannot send.
FAILURES = (failures.PostgresError, failures.InterfaceError, OSError)


class Ready(NamedTuple):
    """A statement as the driver takes it: its text, its parameters in their order, and those that are always the same."""

    text: str
    names: Names
    constants: Mapping[str, Any]

    def cells(self, given: Mapping[str, Any]) -> list[Any]:
        """Returns the parameters."""
        return [given[name] if name in given else self.constants[name] for name in self.names]


@lru_cache(statements.MANY)
def ready(statement: Executable) -> Ready:
    """Compiles a statement that was built once."""
    compiled = statement.compile(dialect=DIALECT)  # type: ignore[attr-defined]
    given: dict[str, Any] = {name: [] for name, one in compiled.binds.items() if one.required}
    state = compiled.construct_expanded_state(given)
    return Ready(state.statement, tuple(state.positiontup), {name: one for name, one in state.parameters.items() if name not in given})


@lru_cache(statements.MANY)
def row_type(names: Names) -> Any:
    """Returns what makes a row with these columns, which is used like SQLAlchemy's."""
    make: Any = namedtuple
    made = make("Row", names)
    return type("Row", (made,), {"__slots__": (), "_mapping": property(made._asdict)})


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
    """A transaction or a read on PostgreSQL."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, "postgresql")
        self._pooled = connection
        assert connection.sync_connection is not None
        self._adapted: Any = connection.sync_connection.connection.dbapi_connection
        self._ahead: list[tuple[Table, str, list[Any]]] = []

    async def read(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Returns all rows of a query."""
        await self.send()
        return await super().read(statement, parameters)

    async def write(self, statement: Executable, parameters: Any = None) -> int:
        """Runs a change and returns how many rows it touched."""
        await self.send()
        return await super().write(statement, parameters)

    async def find(
        self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]], *,
        only: Names = (), where: Condition = (), order: Names = (), lock: bool = False,
    ) -> Sequence[Any]:  # fmt: skip
        """Returns the rows whose columns `by` equal one of the keys, locked in their `order` where `lock` is set."""
        wanted = list(keys)
        if not wanted:
            return []
        one = ready(statements.find(self.dialect, table, by, only, where, order, lock))
        return await self._fetch(table, one, statements.parameters(self.dialect, "wanted", by, wanted), only or tuple(table.c.keys()))

    async def insert(self, table: Table, rows: Sequence[Mapping[str, Any]], *, once: bool = False) -> int:
        """Writes new rows; `once` leaves out those whose key is there already. Returns how many are new."""
        if not rows:
            return 0
        self.writes += 1
        names = tuple(rows[0])
        one = ready(statements.insert(table, names, once))
        cells = one.cells(statements.fresh(names, rows))
        if once:
            return await self._execute(table, one.text, cells)
        self._ahead.append((table, one.text, cells))
        return len(rows)

    async def merge(
        self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), returning: Names = ()
    ) -> Sequence[Any]:
        """Writes rows, or changes those whose key `by` is there. Returns the columns `returning` as they are then."""
        if not rows:
            return []
        self.writes += 1
        names = tuple(rows[0])
        one = ready(statements.merge(self.dialect, table, names, by, add, returning))
        fresh = statements.fresh(names, rows)
        if returning:
            return await self._fetch(table, one, fresh, returning)
        await self._execute(table, one.text, one.cells(fresh))
        return []

    async def change(self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), where: Condition = ()) -> int:
        """Changes the rows that the columns `by` name and returns how many were changed."""
        if not rows:
            return 0
        self.writes += 1
        names = tuple(rows[0])
        one = ready(statements.change(self.dialect, table, by, names, add, where))
        new = statements.parameters(self.dialect, "new", names, [tuple(row.values()) for row in rows])
        return await self._execute(table, one.text, one.cells(new))

    async def remove(self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]]) -> int:
        """Deletes the rows whose columns `by` equal one of the keys."""
        gone = list(keys)
        if not gone:
            return 0
        self.writes += 1
        one = ready(statements.remove(self.dialect, table, by))
        return await self._execute(table, one.text, one.cells(statements.parameters(self.dialect, "gone", by, gone)))

    async def send(self) -> None:
        """Sends what was to go ahead of something."""
        if self._ahead:
            table, text, cells = self._ahead.pop()
            await self._execute(table, text, cells)

    async def _fetch(self, table: Table, one: Ready, given: Mapping[str, Any], names: Names) -> list[Any]:
        make = row_type(names)._make
        return [make(record) for record in await self._run(table, "fetch", one.text, one.cells(given))]

    async def _execute(self, table: Table, text: str, cells: list[Any]) -> int:
        return int(str(await self._run(table, "execute", text, cells)).rsplit(" ", 1)[1])

    async def _run(self, table: Table, how: str, text: str, cells: list[Any]) -> Any:
        """Runs a statement on a table, with what goes ahead of it, unless that is on the same: it would not see it."""
        if any(ahead is table for ahead, _, _ in self._ahead):
            await self.send()
        if self._ahead:
            ahead, self._ahead = self._ahead, []
            text = together((*(part for _, part, _ in ahead), text))
            cells = [cell for _, _, part in ahead for cell in part] + cells
        adapted = self._adapted
        async with adapted._execute_mutex:
            if adapted._transaction is None:
                await adapted._start_transaction()
            try:
                return await getattr(adapted._connection, how)(text, *cells)
            except FAILURES as error:
                if adapted._connection.is_closed():
                    await self._pooled.invalidate()
                raise DBAPIError(text, None, error) from error
