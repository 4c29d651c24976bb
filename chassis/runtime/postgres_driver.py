"""PostgreSQL's transactions: those statements that go straight to asyncpg.

What goes ahead of the next statement goes in the same one. No part of a statement sees what another does, so two parts about
one table are never together unless both only add rows, or the first only asks.

A transaction begins where a statement locks, or where it is not the only one that writes. What looks without locking and then
writes in one statement needs none: that statement is a transaction by itself, and fails where one of its parts does not find
what it must.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg.exceptions as failures
from sqlalchemy import Executable, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.runtime import statements
from chassis.runtime.statements import Names, Ready
from chassis.runtime.tx import Mistaken, Tx, need_all

PLACE = re.compile(r"\$(\d+)")
# What a driver raises where the database refuses, the connection is gone, or it was given what it cannot send.
FAILURES = (failures.PostgresError, failures.InterfaceError, OSError)
# How a statement fails by its own count: it divides by whether all is as it must be.
DIVIDED = failures.DivisionByZeroError.sqlstate


class Part(NamedTuple):
    """A statement with its parameters; whether it only adds rows, and how many rows it must be where it must: none if it asks."""

    one: Ready
    cells: Sequence[Any]
    inserts: bool = False
    must: int | None = None

    @property
    def asks(self) -> bool:
        """Whether it changes nothing."""
        return self.must == 0

    def clashes(self, later: "Part") -> bool:
        """Says whether a later one would have to see what this one does."""
        return self.one.table is later.one.table and not (self.inserts and later.inserts) and not self.asks


@lru_cache(statements.MANY)
def together(texts: tuple[str, ...], counted: tuple[bool, ...] = (), asking: tuple[bool, ...] = (), *, sure: bool = False) -> str:
    """Makes one statement of many, the last of which answers; where some are counted, it answers how many rows each of those has.

    What only asks has its rows, what changes some says so. A `sure` one is told how many they must be, and fails where they are not.
    """
    parts, taken = [], 0
    for text in texts:
        parts.append(_moved(text, taken))
        taken += max((int(place) for place in PLACE.findall(text)), default=0)
    if not counted:
        ahead = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts[:-1]))
        return f"WITH {ahead} {parts[-1]}"
    ends = [" RETURNING 1" if one and not asks else "" for one, asks in zip(counted, asking, strict=True)]
    named = ", ".join(f"part_{number} AS ({part}{ends[number]})" for number, part in enumerate(parts))
    counts = [f"(SELECT count(*) FROM part_{number})" for number, one in enumerate(counted) if one]
    if not sure:
        return f"WITH {named} SELECT {', '.join(counts)}"
    right = " AND ".join(f"{count} = ${place}" for place, count in enumerate(counts, taken + 1))
    return f"WITH {named} SELECT 1 / ({right})::int"


def _moved(text: str, by: int) -> str:
    return PLACE.sub(lambda place: f"${int(place[1]) + by}", text)


class PostgresTx(Tx):
    """A read on PostgreSQL, or a transaction: that begins when it must."""

    dialect = "postgresql"

    def __init__(self, connection: AsyncConnection, *, begins: bool = False) -> None:
        super().__init__(connection)
        self._pooled = connection
        assert connection.sync_connection is not None
        self._adapted: Any = connection.sync_connection.connection.dbapi_connection
        self._ahead: list[Part] = []
        self._begins = begins
        self._begun = False
        # Tables in which a key that is there already is a mistake.
        self._new: set[str] = set()

    async def commit(self) -> None:
        """Sends what is left and commits; what is left is a transaction by itself where none has begun."""
        if not self._begun:
            await self._send_alone()
            return
        await self.send()
        await self._drive("execute", "COMMIT")

    async def roll_back(self) -> None:
        """Forgets what is left and rolls back."""
        self._ahead.clear()
        if self._begun:
            await self._drive("execute", "ROLLBACK")

    async def join(self, gate: int) -> None:
        """Takes the gate's lock with others; as the first statement, it goes with the beginning."""
        await self._lock(f"SELECT pg_advisory_xact_lock_shared({gate})")

    async def close(self, gate: int) -> bool:
        """Takes the gate's lock alone."""
        await self._lock(f"SELECT pg_advisory_xact_lock({gate})")
        return True

    async def shut(self, table: Table) -> bool:
        """Takes a lock that goes with no other use of the table: statements take theirs before they look."""
        await self._lock(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
        return True

    async def _lock(self, text: str) -> None:
        await self.send()
        begin = "BEGIN; " if self._begins and not self._begun else ""
        self._begun = self._begins
        await self._drive("execute", begin + text)

    async def _before(self) -> None:
        await self.send()
        await self._begin()

    async def _fetch(self, one: Ready, cells: Sequence[Any], locks: bool) -> Sequence[Sequence[Any]]:
        last = Part(one, cells)
        if any(part.must is not None or part.clashes(last) for part in self._ahead):
            await self.send()
        if locks or self._ahead:
            await self._begin()
        return await self._run("fetch", last)  # type: ignore[no-any-return]

    async def _later(self, one: Ready, cells: Sequence[Any], must: int | None = None) -> None:
        await self._put_ahead(Part(one, cells, must=must))

    async def _insert(self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], once: bool, must: bool) -> int:
        once = once and not must
        if must:
            self._new.add(table.name)
        alike = statements.alike(table, names, rows)
        statement = statements.insert(table, names, alike, once=once, lone=statements.is_lone(len(rows)))
        one = statements.ready(self.dialect, table, statement)
        await self._put_ahead(Part(one, one.cells(statements.fresh(table, names, rows, alike)), inserts=not once))
        return await self.send() if once else len(rows)

    async def _merge(
        self, table: Table, names: Names, rows: Sequence[Mapping[str, Any]], statement: Executable, answers: bool
    ) -> Sequence[Sequence[Any]]:
        one = statements.ready(self.dialect, table, statement)
        cells = one.cells(statements.fresh(table, names, rows))
        if answers:
            return await self._fetch(one, cells, locks=True)
        await self._put_ahead(Part(one, cells))
        return []

    async def _put_ahead(self, part: Part) -> None:
        if any(earlier.clashes(part) for earlier in self._ahead):
            await self.send()
        self._ahead.append(part)

    async def send(self) -> int:
        """Sends what was to go ahead of something; returns how many rows the last of it touched."""
        if not self._ahead:
            return 0
        await self._begin()
        last = self._ahead.pop()
        counted = [part for part in self._ahead if part.must is not None]
        if counted:
            marks = tuple(part.must is not None for part in self._ahead)
            counts: list[int] = list((await self._run("fetch", last, (*marks, True)))[0])
            count = counts.pop()
            for part, changed in zip(counted, counts, strict=True):
                need_all(part.one.table, changed, part.must)
        else:
            count = _count(await self._run("execute", last))
        need_all(last.one.table, count, last.must)
        return count

    async def _send_alone(self) -> None:
        """Sends all that is left as one statement, which is done whole or not at all."""
        if not self._ahead:
            return
        musts = [part.must for part in self._ahead if part.must is not None]
        last = self._ahead.pop()
        if not musts:
            await self._run("execute", last)
            return
        marks = tuple(part.must is not None for part in (*self._ahead, last))
        try:
            await self._run("fetch", last, marks, musts)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != DIVIDED:
                raise
            raise Mistaken("a row is there, or is not what it was when it was read") from error

    async def _run(self, how: str, last: Part, counted: tuple[bool, ...] = (), musts: Sequence[int] = ()) -> Any:
        """Runs a statement with what goes ahead of it; told how many rows those that are counted must be, it fails if they are not."""
        parts, self._ahead = [*self._ahead, last], []
        if len(parts) == 1 and not counted:
            return await self._drive(how, last.one.text, *last.cells)
        texts, asking = tuple(part.one.text for part in parts), tuple(part.asks for part in parts)
        text = together(texts, counted, asking, sure=bool(musts))
        return await self._drive(how, text, *(cell for part in parts for cell in part.cells), *musts)

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
                if isinstance(error, failures.UniqueViolationError) and (name := getattr(error, "table_name", "")) in self._new:
                    raise Mistaken(f"{name}: a row is there already") from error
                raise DBAPIError(text, None, error) from error


def _count(status: str) -> int:
    """Returns how many rows a change touched, by what the server says: UPDATE 3."""
    return int(status.rsplit(" ", 1)[1])
