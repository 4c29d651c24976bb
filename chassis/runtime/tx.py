"""One transaction, or one read: a small face of SQL, in which a statement is about many rows at once.

Statements about rows by their keys go straight to the driver: SQLAlchemy compiles each once and takes no part in running it,
which would take it longer than the driver takes. All others, which handlers write as they need them, SQLAlchemy runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Executable, Table

from chassis.runtime import statements
from chassis.runtime.statements import Cell, Condition, Names, Ready


class Connection(Protocol):
    """What runs statements of SQLAlchemy; a simulation brings one that never leaves the thread."""

    async def execute(self, statement: Executable, parameters: Any = None) -> Any:
        """Runs one statement."""


class Tx(ABC):
    """One transaction, or one read."""

    dialect: str

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.writes = 0

    async def read(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Returns all rows of a query."""
        await self._before()
        return (await self._connection.execute(statement, parameters)).all()  # type: ignore[no-any-return]

    async def write(self, statement: Executable, parameters: Any = None) -> int:
        """Runs a change and returns how many rows it touched."""
        self.writes += 1
        await self._before()
        return int((await self._connection.execute(statement, parameters)).rowcount)

    async def find(
        self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]], *,
        only: Names = (), where: Condition = (), order: Names = (), lock: bool = False, share: bool = False,
    ) -> Sequence[Any]:  # fmt: skip
        """Returns the rows whose columns `by` equal one of the keys, locked in their `order` where `lock` is set.

        With `share`, others may read them so too, and nobody may change them before this transaction has ended.

        `only` names the columns wanted, all where empty; `where` are conditions beside, constants of their module.
        """
        wanted = list(keys)
        if not wanted:
            return []
        one = statements.ready(self.dialect, table, statements.find(self.dialect, table, by, only, where, order, lock, share))
        cells = one.cells(statements.parameters(self.dialect, "wanted", statements.kinds(table, by), wanted))
        make = statements.row_type(only or tuple(table.c.keys()))._make
        return [make(row) for row in await self._fetch(one, cells)]

    async def insert(self, table: Table, rows: Sequence[Mapping[str, Any]], *, once: bool = False) -> int:
        """Writes new rows; `once` leaves out those whose key is there already. Returns how many are new."""
        if not rows:
            return 0
        self.writes += 1
        return await self._insert(table, tuple(rows[0]), rows, once)

    async def merge(
        self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), returning: Names = ()
    ) -> Sequence[Any]:
        """Writes rows, or changes those whose key `by` is there: columns in `add` are added to what is there, others are set.

        No two rows may have one key. Returns the columns `returning` as they are then.
        """
        if not rows:
            return []
        self.writes += 1
        names = tuple(rows[0])
        found = await self._merge(table, names, rows, statements.merge(self.dialect, table, names, by, add, returning))
        make = statements.row_type(returning)._make
        return [make(row) for row in found]

    async def change(self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), where: Condition = ()) -> int:
        """Changes the rows that the columns `by` name: columns in `add` are added to what is there, others are set.

        A row where a sum would fall below zero stays as it is. No two may name the same row. Returns how many were changed.
        """
        if not rows:
            return 0
        self.writes += 1
        names = tuple(rows[0])
        one = statements.ready(self.dialect, table, statements.change(self.dialect, table, by, names, add, where))
        new = statements.parameters(self.dialect, "new", statements.kinds(table, names), [tuple(row.values()) for row in rows])
        return await self._execute(one, one.cells(new))

    async def remove(self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]]) -> int:
        """Deletes the rows whose columns `by` equal one of the keys."""
        gone = list(keys)
        if not gone:
            return 0
        self.writes += 1
        one = statements.ready(self.dialect, table, statements.remove(self.dialect, table, by))
        return await self._execute(one, one.cells(statements.parameters(self.dialect, "gone", statements.kinds(table, by), gone)))

    @abstractmethod
    async def _before(self) -> None:
        """Does what must be done before SQLAlchemy runs a statement."""

    @abstractmethod
    async def _fetch(self, one: Ready, cells: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Returns the rows of a query."""

    @abstractmethod
    async def _execute(self, one: Ready, cells: Sequence[Any]) -> int:
        """Runs a change and returns how many rows it touched."""

    @abstractmethod
    async def _insert(self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], once: bool) -> int:
        """Inserts rows and returns how many are new."""

    @abstractmethod
    async def _merge(self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], statement: Executable) -> Sequence[Sequence[Any]]:
        """Inserts or changes rows and returns what the statement returns."""
