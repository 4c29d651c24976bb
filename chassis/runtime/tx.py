"""One transaction, or one read: a small face of SQL, in which a statement is about many rows at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Executable, Table

from chassis.runtime import statements
from chassis.runtime.statements import Cell, Condition, Names


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
        result = await self._connection.execute(statement, list(rows))
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
