"""Leases: which of several replicas does the work that only one may do. On SQLite there is only one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy import or_, update

from chassis.kernel.clock import SECOND
from chassis.runtime.database import Database
from chassis.runtime.tables import ChassisTables
from chassis.runtime.work import Cause, Work
from chassis.runtime.writer import Writer

TERM_S = 10
CAUSE = Cause("service", "lease", "lease")
log = structlog.get_logger()


class Leases:
    """The leases that this process holds, renewed when they are half spent."""

    def __init__(self, holder: str, database: Database, tables: ChassisTables, writer: Writer, clock: Callable[[], int]) -> None:
        self._holder = holder
        self._database = database
        self._table = tables.leases
        self._writer = writer
        self._clock = clock
        self._until: dict[str, int] = {}

    async def hold(self, name: str) -> bool:
        """Says whether this process holds the lease, taking it where it is free."""
        if self._database.dialect == "sqlite":
            return True
        if self._until.get(name, 0) - self._clock() > TERM_S * SECOND // 2:
            return True
        taken = await self._writer.run(lambda work: self._take(work, name), CAUSE)
        self._until[name] = self._clock() + TERM_S * SECOND if taken else 0
        return taken

    @asynccontextmanager
    async def keeping(self, name: str) -> AsyncIterator[None]:
        """Renews a lease that this process holds for as long as something takes."""
        if self._database.dialect == "sqlite":
            yield
            return
        renewing = asyncio.ensure_future(self._renew(name))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, name: str) -> None:
        while True:
            await asyncio.sleep(TERM_S / 4)
            try:
                await self.hold(name)
            except Exception as error:
                log.warning("a lease is not renewed", lease=name, error=repr(error))

    async def _take(self, work: Work, name: str) -> bool:
        table = self._table
        until = work.now + TERM_S * SECOND
        free = or_(table.c.holder == self._holder, table.c.until < work.now)
        if await work.tx.write(update(table).where(table.c.name == name, free).values(holder=self._holder, until=until)):
            return True
        return bool(await work.tx.insert(table, [{"name": name, "holder": self._holder, "until": until}], once=True))
