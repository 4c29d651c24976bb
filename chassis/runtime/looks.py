"""Looks: does anything wait that nobody here was woken for? Asked for all of a service's loops in one statement.

Who writes what a loop waits for wakes it with the commit. What another replica wrote, what is due by time and what a crash
left is found by the look.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy import Executable, Select, select

from chassis.runtime.database import Database

LOOK_S = 0.5
log = structlog.get_logger()


class Looks:
    """What the loops of one service wait for, by name."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._waiting: dict[str, tuple[Select[Any], int]] = {}
        self._events: dict[str, asyncio.Event] = {}
        self._statements: dict[tuple[str, ...], Executable] = {}

    def add(self, name: str, waiting: Select[Any], every_s: float = LOOK_S) -> asyncio.Event:
        """Returns the event that is set while the query finds a row, or by `wake`; it may ask for the moment by `statements.NOW`."""
        self._waiting[name] = (waiting, max(round(every_s / LOOK_S), 1))
        self._statements.clear()
        return self._events.setdefault(name, asyncio.Event())

    @contextmanager
    def looking(self, name: str, waiting: Select[Any]) -> Iterator[asyncio.Event]:
        """Adds a look for as long as somebody waits for it."""
        try:
            yield self.add(name, waiting)
        finally:
            del self._waiting[name], self._events[name]
            self._statements.clear()

    def wake(self, names: Iterable[str]) -> None:
        """Says that what these wait for is there."""
        for name in names:
            if name in self._events:
                self._events[name].set()

    async def serve(self) -> None:
        """Looks until cancelled."""
        turn = 0
        while True:
            names = tuple(name for name, (_, every) in self._waiting.items() if turn % every == 0)
            try:
                if names:
                    self.wake(await self._look(names))
            except Exception as error:
                log.warning("what waits is not known", error=repr(error))
            turn += 1
            await asyncio.sleep(LOOK_S)

    async def _look(self, names: tuple[str, ...]) -> list[str]:
        # What is looked for may change while a connection is waited for.
        if (statement := self._statements.get(names)) is None:
            statement = self._statements[names] = select(*(self._waiting[name][0].exists() for name in names))
        async with self._database.read() as tx:
            found = (await tx.read(statement, {"now": self._clock()}))[0]
        return [name for name, there in zip(names, found, strict=True) if there]
