"""One transaction, or one read: a small face of SQL, in which a statement is about many rows at once.

Statements about rows by their keys go straight to the driver: SQLAlchemy compiles each once and takes no part in running it,
which would take it longer than the driver takes. All others, which handlers write as they need them, SQLAlchemy runs.

What answers nothing is not sent by itself: it goes ahead of the next statement, or of the commit. What is wrong with it is
raised there.
"""

import hashlib
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


class Mistaken(Exception):
    """What was taken to be so is not: a row is there that must not be, or one is not what it was when it was read."""


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
        lone = statements.is_lone(len(wanted), where)
        query = statements.find(self.dialect, table, by, only, where, order, lone=lone, lock=lock, share=share)
        one = statements.ready(self.dialect, table, query)
        cells = one.cells(statements.filled(self.dialect, "wanted", statements.kinds(table, by), wanted, lone=lone))
        make = statements.row_type(only or tuple(table.c.keys()))._make
        return [make(row) for row in await self._fetch(one, cells, lock or share)]

    async def insert(self, table: Table, rows: Sequence[Mapping[str, Any]], *, once: bool = False, must: bool = False) -> int:
        """Writes new rows; `once` leaves out those whose key is there already. Returns how many are new.

        Where all `must` be new, Mistaken is raised with the next statement if one is not.
        """
        if not rows:
            return 0
        self.writes += 1
        return await self._insert(table, tuple(rows[0]), rows, once, must)

    async def merge(
        self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), keep: Names = (), returning: Names = ()
    ) -> Sequence[Any]:
        """Writes rows, or changes those whose key `by` is there: columns in `add` are added, those in `keep` stay, others are set.

        No two rows may have one key. Returns the columns `returning` as they are then.
        """
        if not rows:
            return []
        self.writes += 1
        names = tuple(rows[0])
        statement = statements.merge(self.dialect, table, names, by, add, keep, returning, lone=statements.is_lone(len(rows)))
        make = statements.row_type(returning)._make
        return [make(row) for row in await self._merge(table, names, rows, statement, bool(returning))]

    async def change(
        self, table: Table, by: Names, rows: Sequence[Mapping[str, Any]], *, add: Names = (), where: Condition = (), must: bool = False
    ) -> None:
        """Changes the rows that the columns `by` name: columns in `add` are added to what is there, others are set.

        A row where a sum would fall below zero stays as it is, and what is not there is not made: where it `must` be changed,
        Mistaken is raised with the next statement if one was not. No two may name the same row.
        """
        if not rows:
            return
        self.writes += 1
        names = tuple(rows[0])
        lone = statements.is_lone(len(rows), where)
        one = statements.ready(self.dialect, table, statements.change(self.dialect, table, by, names, add, where, lone=lone))
        new = statements.filled(self.dialect, "new", statements.kinds(table, names), [tuple(row.values()) for row in rows], lone=lone)
        await self._later(one, one.cells(new), len(rows) if must else None)

    async def remove(self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]]) -> None:
        """Deletes the rows whose columns `by` equal one of the keys."""
        gone = list(keys)
        if not gone:
            return
        self.writes += 1
        lone = statements.is_lone(len(gone))
        one = statements.ready(self.dialect, table, statements.remove(self.dialect, table, by, lone=lone))
        await self._later(one, one.cells(statements.filled(self.dialect, "gone", statements.kinds(table, by), gone, lone=lone)))

    async def need_none(self, table: Table, by: Names, keys: Iterable[tuple[Cell, ...]]) -> None:
        """Takes it that no row has one of the keys; where one has, raises Mistaken with the next statement."""
        wanted = list(keys)
        if not wanted:
            return
        lone = statements.is_lone(len(wanted))
        one = statements.ready(
            self.dialect, table, statements.find(self.dialect, table, by, by, (), (), lone=lone, lock=False, share=False)
        )
        cells = one.cells(statements.filled(self.dialect, "wanted", statements.kinds(table, by), wanted, lone=lone))
        await self._later(one, cells, 0)

    @abstractmethod
    async def join(self, gate: int) -> None:
        """Goes through a gate: many may, and where one has closed it, this waits until that one has ended.

        What was written before the gate was closed is seen by whoever reads after it.
        """

    @abstractmethod
    async def close(self, gate: int) -> bool:
        """Closes a gate until the end: waits until those who went through have ended, and lets no other in.

        Says whether others may have written meanwhile, which is seen by whoever reads after it: not where only one writes at a
        time. Two that went through and both close it are a deadlock, which the writer repeats.
        """

    @abstractmethod
    async def shut(self, table: Table) -> bool:
        """Keeps all others from a table until the end, once those who used it have ended: they see what is written here.

        Says whether others may have written meanwhile, as `close` does.
        """

    @abstractmethod
    async def _before(self) -> None:
        """Does what must be done before SQLAlchemy runs a statement."""

    @abstractmethod
    async def _fetch(self, one: Ready, cells: Sequence[Any], locks: bool) -> Sequence[Sequence[Any]]:
        """Returns the rows of a query, which may lock them."""

    @abstractmethod
    async def _later(self, one: Ready, cells: Sequence[Any], must: int | None = None) -> None:
        """Runs a change ahead of the next statement, which must touch so many rows where that is said; one that must be 0 is a query."""

    @abstractmethod
    async def _insert(self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], once: bool, must: bool) -> int:
        """Inserts rows and returns how many are new."""

    @abstractmethod
    async def _merge(
        self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], statement: Executable, answers: bool
    ) -> Sequence[Sequence[Any]]:
        """Inserts or changes rows and returns what the statement returns, if it answers."""


def gate(*names: str) -> int:
    """Returns the gate of what has these names: whoever decides by what is not there yet, which cannot be locked, closes it first."""
    return int.from_bytes(hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest(), signed=True)


def need_all(table: Table, count: int, must: int | None) -> None:
    """Raises Mistaken where a change did not change all rows that it must, or a query found what must not be there."""
    if must is not None and count != must:
        raise Mistaken(f"{table.name}: {count} rows, not {must}: one is there, or is not what it was when it was read")
